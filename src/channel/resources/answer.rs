//! What an answer tells of the things that belong to the account of the key that was used.

use gpt_load_schema::{channel::Channel, resource::ResourceKind};

use super::{ACTIONS, Spelling, is_id, name_in, walk};
use crate::channel::json;

/// Things of one answer that are remembered.
const MAX_LEARNT: usize = 16;
/// Events of a stream that are looked at: the first ones tell what was made.
const MAX_EVENTS: u8 = 8;

/// Members, beside `id`, of OpenAI's objects that name things made along with them.
const MADE_ALONG: [(&str, ResourceKind); 5] = [
    ("thread_id", ResourceKind::Thread),
    ("output_file_id", ResourceKind::File),
    ("error_file_id", ResourceKind::File),
    ("result_files", ResourceKind::File),
    // Of a completed upload.
    ("file", ResourceKind::File),
];
/// Members of Gemini's objects whose value is a name or a URI that ends with one.
const NAMES: walk::Names = walk::Names { wanted: &[b"name", b"uri", b"responsesFile"], passed: &[b"inlinedResponses"] };
/// Actions on Gemini's models that make something.
const MAKING_ACTIONS: [&str; 3] = ["batchGenerateContent", "asyncBatchEmbedContent", "predictLongRunning"];

/// A thing that belongs to the account of the key that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What it is.
    pub kind: ResourceKind,
    /// Its id, or for Gemini its name.
    pub id: Box<str>,
}

/// How the answer to a request is read that makes or shows a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The answer is this thing.
    Object(ResourceKind),
    /// The answer is about another thing, which names what was made.
    Around,
    /// The answer names things by collection and id.
    Names,
}

impl Reading {
    /// How to read the answer to a request; `None` for the many that make and show nothing.
    pub fn of(channel: Channel, method: &str, path: &str) -> Option<Self> {
        if !matches!(method, "GET" | "POST" | "PATCH") {
            return None;
        }
        let spelling = Spelling::of(channel, path);
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        let last = path.rsplit('/').next().unwrap_or_default();
        if spelling == Spelling::Name && method == "POST" {
            let action = last.split_once(':').map_or("", |(_, action)| action);
            if MAKING_ACTIONS.contains(&action) {
                return Some(Self::Names);
            }
        }
        let kind = segments.by_ref().find_map(|segment| spelling.collection(segment))?;
        let is_shown = match (segments.next(), segments.next(), segments.next()) {
            (None, ..) => method == "POST",
            (Some("runs"), None, _) if kind == ResourceKind::Thread => {
                return (method == "POST").then_some(Self::Around);
            }
            (Some(id), None, _) => !ACTIONS.contains(&id),
            (Some(_), Some("complete" | "cancel"), None) => method == "POST",
            _ => false,
        };
        is_shown.then_some(match spelling {
            Spelling::Id => Self::Object(kind),
            Spelling::Name => Self::Names,
        })
    }
}

/// Reads along with one answer.
#[derive(Debug)]
pub struct Learner {
    reading: Reading,
    learnt: Vec<Named>,
    events: u8,
}

impl Learner {
    /// For an answer that is to be read so.
    pub const fn new(reading: Reading) -> Self {
        Self { reading, learnt: Vec::new(), events: 0 }
    }

    /// Sees the data of an event.
    pub fn see_event(&mut self, data: &[u8]) {
        if self.events < MAX_EVENTS {
            self.events += 1;
            match json::member(data, "response").filter(|response| response.first() == Some(&b'{')) {
                Some(response) => self.see_object(response),
                // Events of other streams are parts of an answer.
                None if self.reading == Reading::Around => self.see_object(data),
                None => {}
            }
        }
    }

    /// Sees the beginning of a whole answer, or all of it.
    pub fn see_object(&mut self, object: &[u8]) {
        match self.reading {
            Reading::Names => walk(object, &NAMES, |_, text| {
                if let Some((kind, name)) = name_in(text) {
                    learn(&mut self.learnt, kind, &name);
                }
            }),
            Reading::Object(kind) => {
                // What is not stored cannot be asked for again.
                if json::member(object, "store") != Some(b"false") {
                    self.see_member(object, "id", kind);
                }
                self.see_made_along(object);
            }
            Reading::Around => {
                if json::member(object, "object") == Some(b"\"thread\"") {
                    self.see_member(object, "id", ResourceKind::Thread);
                }
                self.see_made_along(object);
            }
        }
    }

    /// What was learnt since the last call.
    pub fn take(&mut self) -> Vec<Named> {
        std::mem::take(&mut self.learnt)
    }

    fn see_made_along(&mut self, object: &[u8]) {
        for (member, kind) in MADE_ALONG {
            self.see_member(object, member, kind);
        }
    }

    fn see_member(&mut self, object: &[u8], member: &str, kind: ResourceKind) {
        if let Some(value) = json::member(object, member) {
            walk::each(value, |id| learn(&mut self.learnt, kind, id));
        }
    }
}

fn learn(learnt: &mut Vec<Named>, kind: ResourceKind, id: &str) {
    if learnt.len() < MAX_LEARNT && is_id(id) && !learnt.iter().any(|known| *known.id == *id) {
        learnt.push(Named { kind, id: id.into() });
    }
}
