//! What a follower sends up to the leader: the leader stores it as if it were its own.

use bytes::Bytes;
use gpt_load_schema::{
    ids::{KeyId, TokenId},
    resource::Resource,
    store::KeyDelta,
    time::Timestamp,
    watermark::Mark,
};
use serde::{Deserialize, Serialize};

use super::kept_row::KeptRow;

/// Written first, so that another version of the program does not misread what follows.
const FORMAT: u8 = 1;

/// One shipment.
#[derive(Serialize, Deserialize)]
pub(crate) struct Shipment<'a> {
    node: String,
    incarnation: String,
    sequence: i64,
    /// JSON: a health leaves out what is empty, which a format without names cannot.
    deltas: String,
    #[serde(borrow)]
    pub(crate) rows: Vec<KeptRow<'a>>,
    pub(crate) resources: Vec<Resource>,
    /// Up to which outcome of each key the node's journal is in `deltas`.
    pub(crate) proofs: Vec<(KeyId, i64)>,
    /// Last uses of access tokens.
    pub(crate) token_uses: Vec<(TokenId, Timestamp)>,
    /// Proofs of earlier outcomes of the node may be forgotten.
    pub(crate) forget_before: Option<i64>,
}

/// What cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    /// Written by a program that is older or newer by more than one version.
    #[error("it is of format {0}, which this version does not know")]
    Format(u8),
    /// Damaged.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

impl<'a> Shipment<'a> {
    /// A shipment of changes alone.
    pub(crate) fn new(mark: &Mark, deltas: &[KeyDelta]) -> Result<Self, Unreadable> {
        let Mark { node, incarnation, sequence } = mark.clone();
        let deltas = serde_json::to_string(deltas).map_err(damaged)?;
        Ok(Self {
            node,
            incarnation,
            sequence,
            deltas,
            rows: Vec::new(),
            resources: Vec::new(),
            proofs: Vec::new(),
            token_uses: Vec::new(),
            forget_before: None,
        })
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { node: self.node.clone(), incarnation: self.incarnation.clone(), sequence: self.sequence }
    }

    pub(crate) fn deltas(&self) -> Result<Vec<KeyDelta>, Unreadable> {
        serde_json::from_str(&self.deltas).map_err(damaged)
    }

    pub(crate) fn encode(&self) -> Result<Bytes, Unreadable> {
        postcard::to_extend(self, vec![FORMAT]).map(Bytes::from).map_err(damaged)
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        match bytes {
            [FORMAT, content @ ..] => postcard::from_bytes(content).map_err(damaged),
            [other, ..] => Err(Unreadable::Format(*other)),
            [] => Err(Unreadable::Damaged("it is empty".to_owned())),
        }
    }
}

fn damaged(error: impl std::fmt::Display) -> Unreadable {
    Unreadable::Damaged(error.to_string())
}

/// What the leader says of a shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It is stored.
    Stored,
    /// The database answers, but refuses it.
    Refused(String),
    /// [`gpt_load_schema::watermark::Turn::Gap`].
    Gap,
    /// [`gpt_load_schema::watermark::Turn::Superseded`].
    Superseded,
}

/// An answer on its way back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    node: String,
    incarnation: String,
    sequence: i64,
    pub(crate) answer: Answer,
}

impl Reply {
    pub(crate) fn new(mark: Mark, answer: Answer) -> Self {
        let Mark { node, incarnation, sequence } = mark;
        Self { node, incarnation, sequence, answer }
    }

    pub(crate) fn is_about(&self, mark: &Mark) -> bool {
        (&self.node, &self.incarnation, self.sequence) == (&mark.node, &mark.incarnation, mark.sequence)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use gpt_load_schema::{
        ids::GroupId,
        key::{KeyHealth, KeyState, ModelHealth},
        resource::ResourceKind,
        secret::Secret,
    };

    use super::*;
    use crate::tests::log_row;

    #[test]
    fn a_shipment_comes_back_as_it_was_and_holds_no_key() {
        let mark = Mark { node: "n".to_owned(), incarnation: "i".to_owned(), sequence: 3 };
        let model = ModelHealth { model: "m".to_owned(), resting_until: Some(Timestamp(9)), ..ModelHealth::default() };
        let health =
            KeyHealth { models: vec![model], last_error: Some("no".into()), ..KeyHealth::new(KeyState::Invalid) };
        let deltas = [KeyDelta { id: KeyId(5), health, failures: 2, reset_failures: true }];
        let resource = Resource {
            group_id: GroupId(1),
            id: "file-1".into(),
            key_id: KeyId(5),
            kind: ResourceKind::CachedContent,
            created_at: Timestamp(1),
            expires_at: Timestamp(2),
        };
        let mut row = log_row(5);
        row.key = Some((KeyId(5), Secret::new("sk-value")));
        let shipment = Shipment {
            rows: vec![KeptRow::from(&row)],
            resources: vec![resource.clone()],
            proofs: vec![(KeyId(5), 77)],
            token_uses: vec![(TokenId(1), Timestamp(4))],
            forget_before: Some(-1),
            ..Shipment::new(&mark, &deltas).expect("it can be written")
        };
        let bytes = shipment.encode().expect("it can be written");
        assert!(!bytes.windows(8).any(|part| part == b"sk-value"));
        let mut read = Shipment::decode(&bytes).expect("it can be read");
        assert_eq!((read.mark(), read.deltas().expect("read")), (mark, deltas.to_vec()));
        assert_eq!((&read.resources[..], &read.proofs[..]), (&[resource][..], &[(KeyId(5), 77)][..]));
        assert_eq!((read.token_uses.len(), read.forget_before), (1, Some(-1)));
        let values = HashMap::from([(KeyId(5), Secret::new("sk-value"))]);
        assert_eq!(format!("{:?}", read.rows.remove(0).row(&values)), format!("{row:?}"));

        assert!(matches!(Shipment::decode(&[9, 1]), Err(Unreadable::Format(9))));
        for end in 0..bytes.len() {
            assert!(Shipment::decode(&bytes[..end]).is_err(), "{end}");
        }
    }
}
