//! The things that providers store for an account: which of them a request names, and which an answer tells of.
//!
//! OpenAI and Anthropic name a thing by an id (`file-abc`, `msgbatch_01`), Gemini by its collection and id
//! (`files/abc`). Sources: <https://platform.openai.com/docs/api-reference>,
//! <https://docs.anthropic.com/en/api/creating-message-batches>, <https://docs.anthropic.com/en/api/files-create>,
//! <https://ai.google.dev/api/files>, <https://ai.google.dev/api/caching>, <https://ai.google.dev/api/batch-api>.

mod answer;
mod walk;

use std::borrow::Cow;

use gpt_load_schema::{
    channel::Channel,
    resource::{MAX_RESOURCE_ID, ResourceKind},
};
use percent_encoding::percent_decode_str;

pub use self::answer::{Learner, Named, Reading};
use self::walk::{Names, walk};
use super::{json, model};

/// Ids of one request that are looked at.
pub const MAX_NAMED: usize = 64;

/// Collections of OpenAI's and Anthropic's APIs, by the path segment before the id.
const ID_COLLECTIONS: [(&str, ResourceKind); 11] = [
    ("files", ResourceKind::File),
    ("uploads", ResourceKind::Upload),
    ("batches", ResourceKind::Batch),
    ("responses", ResourceKind::Response),
    ("conversations", ResourceKind::Conversation),
    ("threads", ResourceKind::Thread),
    ("assistants", ResourceKind::Assistant),
    ("vector_stores", ResourceKind::VectorStore),
    ("containers", ResourceKind::Container),
    ("videos", ResourceKind::Video),
    // Of `fine_tuning/jobs`.
    ("jobs", ResourceKind::FineTuning),
];
/// Collections of Gemini's API.
const NAME_COLLECTIONS: [(&str, ResourceKind); 4] = [
    ("files", ResourceKind::File),
    ("cachedContents", ResourceKind::CachedContent),
    ("batches", ResourceKind::Batch),
    ("operations", ResourceKind::Operation),
];
/// What follows a collection in a path though it is no id.
const ACTIONS: [&str; 4] = ["runs", "input_tokens", "compact", "edits"];

/// Members of a request that name things, as OpenAI and Anthropic spell them.
const IDS: Names = Names {
    wanted: &[
        b"file_id",
        b"file_ids",
        b"input_file_id",
        b"previous_response_id",
        b"vector_store_id",
        b"vector_store_ids",
        b"assistant_id",
        b"conversation",
        b"container",
        b"training_file",
        b"validation_file",
    ],
    passed: &[b"metadata", b"arguments", b"parameters", b"schema", b"input_schema"],
};
/// In Anthropic's messages `input` is what the model gave a tool.
const ANTHROPIC_IDS: Names = Names { passed: &[b"metadata", b"input", b"input_schema"], ..IDS };
/// Members of a request that name things, as Gemini spells them.
const NAMES: Names = Names {
    wanted: &[b"fileUri", b"file_uri", b"cachedContent", b"cached_content", b"fileName", b"file_name"],
    passed: &[b"args", b"response", b"parameters", b"schema", b"responseSchema", b"response_schema"],
};

/// How an API names things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    /// By an id.
    Id,
    /// By collection and id.
    Name,
}

impl Spelling {
    fn of(channel: Channel, path: &str) -> Self {
        if channel == Channel::Gemini && !model::is_gemini_openai(path) { Self::Name } else { Self::Id }
    }

    fn collection(self, segment: &str) -> Option<ResourceKind> {
        let collections: &[_] = match self {
            Self::Id => &ID_COLLECTIONS,
            Self::Name => &NAME_COLLECTIONS,
        };
        collections.iter().find(|(name, _)| *name == segment).map(|(_, kind)| *kind)
    }
}

/// The ids, spelled as an answer spells them, that a request names in its path and, when it is JSON, in its body: each
/// once, at most [`MAX_NAMED`].
pub fn named(channel: Channel, path: &str, body: Option<&[u8]>) -> Vec<Box<str>> {
    let spelling = Spelling::of(channel, path);
    let mut ids = Vec::new();
    in_path(spelling, path, &mut ids);
    let Some(body) = body.filter(|body| body.get(json::skip_space(body, 0)) == Some(&b'{')) else { return ids };
    let names = match (spelling, channel) {
        (Spelling::Name, _) => &NAMES,
        (Spelling::Id, Channel::Anthropic) => &ANTHROPIC_IDS,
        (Spelling::Id, _) => &IDS,
    };
    walk(body, names, |_, text| match spelling {
        Spelling::Id => add(&mut ids, text),
        Spelling::Name => {
            if let Some((_, name)) = name_in(text) {
                add(&mut ids, &name);
            }
        }
    });
    ids
}

fn in_path(spelling: Spelling, path: &str, ids: &mut Vec<Box<str>>) {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let mut current = segments.next();
    while let Some(segment) = current {
        let next = segments.next();
        current = next;
        if spelling.collection(segment).is_none() {
            continue;
        }
        let Some(id) = next.filter(|id| !ACTIONS.contains(id)) else { continue };
        match spelling {
            Spelling::Id => add(ids, &decoded(id)),
            Spelling::Name => add(ids, &[segment, "/", without_action(&decoded(id))].concat()),
        }
        current = segments.next();
    }
}

/// The last collection with an id in a text: a name, or a URI that ends with one.
fn name_in(text: &str) -> Option<(ResourceKind, String)> {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let mut before = text.rsplit('/');
    let mut id = before.next()?;
    for segment in before {
        if let Some(kind) = Spelling::Name.collection(segment) {
            let id = without_action(id);
            return (!id.is_empty()).then(|| (kind, [segment, "/", id].concat()));
        }
        id = segment;
    }
    None
}

fn without_action(segment: &str) -> &str {
    segment.split(':').next().unwrap_or_default()
}

fn decoded(segment: &str) -> Cow<'_, str> {
    percent_decode_str(segment).decode_utf8_lossy()
}

fn add(ids: &mut Vec<Box<str>>, id: &str) {
    if ids.len() < MAX_NAMED && is_id(id) && !ids.iter().any(|known| **known == *id) {
        ids.push(id.into());
    }
}

/// Whether a text can be an id: providers use visible ASCII.
fn is_id(text: &str) -> bool {
    (1..=MAX_RESOURCE_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests;
