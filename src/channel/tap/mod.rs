//! The usage tap: reads along while an answer passes, bounded in memory, and never touches a byte of it.

mod body;
mod facts;
mod usage;

use std::io::{self, Write};

use gpt_load_actors::pool::Verdict;
use gpt_load_schema::{channel::Channel, log::TokenUsage};

use self::{
    body::Body,
    facts::{Facts, Promise},
};
use super::{
    decode::Decoder,
    resources::{Learner, Named, Reading},
    sse::Splitter,
};

/// Most decoded bytes of an answer that are read; what comes later stays unknown.
const MAX_DECODED: usize = 256 << 20;

/// Reads along with one answer.
pub struct Tap {
    decoder: Decoder<Watch>,
}

/// What an answer said, as far as the tap could read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TapReport {
    /// Tokens; `None` where the provider did not say.
    pub usage: TokenUsage,
    /// Why the model stopped, in the provider's word.
    pub finish_reason: Option<String>,
    /// Model that answered.
    pub model: Option<String>,
    /// Whether the answer came to its end: a terminal event, or a clean end after all that the format promises.
    pub terminal_seen: bool,
    /// The error inside the answer.
    pub error: Option<Verdict>,
    /// Whether there was any content.
    pub content_seen: bool,
    /// Things that belong to the key's account and that [`Tap::take_learnt`] has not given out.
    pub learnt: Vec<Named>,
}

/// What came first in a stream. Comments and pings do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstEvent {
    /// Nothing so far.
    None,
    /// Anything but an error; also any byte of an answer that is no event stream or cannot be decoded.
    Content,
    /// An error.
    Error(Verdict),
}

impl Tap {
    /// A tap for an answer on this channel. `content_encoding` is the header's value; an encoding that is not known
    /// leaves everything unknown.
    pub fn new(channel: Channel, is_event_stream: bool, content_encoding: Option<&str>) -> Self {
        let format = if is_event_stream { Format::Events(Splitter::new()) } else { Format::Body(Body::default()) };
        let (facts, first) = (Facts::default(), FirstEvent::None);
        let watch = Watch { channel, format, facts, first, learner: None, seen: 0 };
        Self { decoder: Decoder::new(content_encoding, watch) }
    }

    /// Reads the answer also for what belongs to the key's account.
    pub fn learning(mut self, reading: Option<Reading>) -> Self {
        self.decoder.sink().learner = reading.map(Learner::new);
        self
    }

    /// What was learnt since the last call of what belongs to the key's account; of a whole answer nothing before its end.
    pub fn take_learnt(&mut self) -> Vec<Named> {
        self.decoder.sink().learner.as_mut().map(Learner::take).unwrap_or_default()
    }

    /// Sees the next bytes of the answer, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.decoder.feed(bytes);
        if self.decoder.is_broken() && !bytes.is_empty() {
            self.decoder.sink().see_unreadable();
        }
    }

    /// What came first.
    pub fn first_event(&self) -> FirstEvent {
        self.decoder.output().first.clone()
    }

    /// Ends the answer; `clean_end` = its framing was complete.
    pub fn finish(mut self, clean_end: bool) -> TapReport {
        let is_readable = !self.decoder.is_broken();
        let mut report = self.decoder.sink().finish(clean_end);
        report.terminal_seen |= clean_end && !is_readable;
        report
    }
}

/// Reads decoded bytes.
struct Watch {
    channel: Channel,
    format: Format,
    facts: Facts,
    first: FirstEvent,
    learner: Option<Learner>,
    seen: usize,
}

enum Format {
    Events(Splitter),
    Body(Body),
}

impl Watch {
    fn see(&mut self, bytes: &[u8]) {
        self.seen += bytes.len();
        match &mut self.format {
            Format::Events(splitter) => {
                let (channel, facts, first, learner) =
                    (self.channel, &mut self.facts, &mut self.first, &mut self.learner);
                splitter.feed(bytes, |data| see_event(channel, facts, first, learner, data));
            }
            Format::Body(body) => {
                body.feed(bytes);
                if !bytes.is_empty() {
                    self.first = FirstEvent::Content;
                }
            }
        }
    }

    fn see_unreadable(&mut self) {
        self.facts.content_seen = true;
        if self.first == FirstEvent::None {
            self.first = FirstEvent::Content;
        }
    }

    fn finish(&mut self, clean_end: bool) -> TapReport {
        let terminal_seen = match &mut self.format {
            Format::Events(splitter) => {
                let (channel, facts, first, learner) =
                    (self.channel, &mut self.facts, &mut self.first, &mut self.learner);
                std::mem::take(splitter).finish(|data| see_event(channel, facts, first, learner, data));
                let is_whole = match facts.promise {
                    Promise::Nothing => true,
                    Promise::FinishReason => facts.finish_reason.is_some(),
                    Promise::TerminalEvent => false,
                };
                facts.is_terminated || (clean_end && is_whole && self.first != FirstEvent::None)
            }
            Format::Body(body) => {
                if let Some(learner) = &mut self.learner {
                    learner.see_object(body.beginning());
                }
                std::mem::take(body).finish(self.channel, &mut self.facts);
                clean_end
            }
        };
        let Facts { usage, finish_reason, model, error, content_seen, .. } = std::mem::take(&mut self.facts);
        let learnt = self.learner.as_mut().map(Learner::take).unwrap_or_default();
        TapReport { usage, finish_reason, model, terminal_seen, error, content_seen, learnt }
    }
}

fn see_event(channel: Channel, facts: &mut Facts, first: &mut FirstEvent, learner: &mut Option<Learner>, data: &[u8]) {
    if let Some(learner) = learner {
        learner.see_event(data);
    }
    let says_something = facts.read(channel, data);
    if says_something && *first == FirstEvent::None {
        *first = facts.error.clone().map_or(FirstEvent::Content, FirstEvent::Error);
    }
}

/// Where a decoder puts its output.
impl Write for Watch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.seen > MAX_DECODED {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.see(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
