//! What the journal keeps of an outcome.

use std::{
    borrow::Cow,
    collections::HashSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    log::OutcomeClass,
    time::Timestamp,
};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::{
    Asked, Consequence, Reach, Ruling, Verdict,
    inbox::{Origin, Outcome},
    slot::Slot,
};

/// An outcome without what only its process knows: which failures came before it, whether it marked its key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept<'a> {
    group: GroupId,
    key: KeyId,
    generation: i64,
    at: i64,
    is_validation: bool,
    upstream: Cow<'a, str>,
    model: Cow<'a, str>,
    class: OutcomeClass,
    rule: Cow<'a, str>,
    message: Cow<'a, str>,
    retry_after: Option<Duration>,
    reach: [bool; 2],
    ruling: Option<(Cow<'a, str>, Option<Decided>)>,
}

/// [`Consequence`].
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Decided {
    Spare,
    Degrade(Option<Duration>),
    Disable(Option<Duration>),
    Invalidate,
    Rest(Duration),
}

impl<'a> Kept<'a> {
    /// What to keep of `outcome`.
    pub(crate) fn of(group: GroupId, outcome: &'a Outcome) -> Self {
        let Verdict { class, rule, ref message, retry_after, reach, ref ruling } = outcome.verdict;
        let decided = |ruling: &'a Ruling| (Cow::Borrowed(&*ruling.policy), ruling.consequence.map(Decided::from));
        Self {
            group,
            key: outcome.slot().id(),
            generation: outcome.generation,
            at: outcome.at.0,
            is_validation: matches!(outcome.origin, Origin::Validation { .. }),
            upstream: Cow::Borrowed(&outcome.upstream),
            model: Cow::Borrowed(&outcome.model),
            class,
            rule: Cow::Borrowed(rule),
            message: Cow::Borrowed(message),
            retry_after,
            reach: [reach.model, reach.account],
            ruling: ruling.as_ref().map(decided),
        }
    }

    /// The group of its key.
    pub(crate) const fn group(&self) -> GroupId {
        self.group
    }

    /// Its key.
    pub(crate) const fn key(&self) -> KeyId {
        self.key
    }

    /// The outcome again, after `failures` in its pool.
    pub(super) fn outcome(self, slot: Arc<Slot>, failures: u64) -> Outcome {
        let [model, account] = self.reach;
        let ruling = self.ruling.map(|(policy, consequence)| Ruling {
            policy: policy.into(),
            consequence: consequence.map(Consequence::from),
        });
        let verdict = Verdict {
            class: self.class,
            rule: known_word(&self.rule),
            message: self.message.into_owned(),
            retry_after: self.retry_after,
            reach: Reach { model, account },
            ruling,
        };
        let origin = if self.is_validation {
            Origin::Validation { began: failures }
        } else {
            Origin::Request { began: failures }
        };
        let asked = Asked { upstream: &self.upstream.into(), model: &self.model };
        Outcome::new(slot, self.generation, verdict, asked, origin, Timestamp(self.at))
    }
}

impl From<Consequence> for Decided {
    fn from(consequence: Consequence) -> Self {
        match consequence {
            Consequence::Spare => Self::Spare,
            Consequence::Degrade(time) => Self::Degrade(time),
            Consequence::Disable(time) => Self::Disable(time),
            Consequence::Invalidate => Self::Invalidate,
            Consequence::Rest(time) => Self::Rest(time),
        }
    }
}

impl From<Decided> for Consequence {
    fn from(decided: Decided) -> Self {
        match decided {
            Decided::Spare => Self::Spare,
            Decided::Degrade(time) => Self::Degrade(time),
            Decided::Disable(time) => Self::Disable(time),
            Decided::Invalidate => Self::Invalidate,
            Decided::Rest(time) => Self::Rest(time),
        }
    }
}

/// The word as the code has it: a rule of the classifier, an action of the audit log. There are some dozens of them, so those
/// that were read are never given back.
pub(crate) fn known_word(word: &str) -> &'static str {
    static KNOWN: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock();
    known.get(word).copied().unwrap_or_else(|| {
        let word: &'static str = Box::leak(word.into());
        known.insert(word);
        word
    })
}
