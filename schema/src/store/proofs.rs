//! Which outcomes of a node's journal the database has.

use std::{collections::HashMap, sync::Arc};

use diesel::{ExpressionMethods, Insertable, QueryDsl};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreResult, Writer,
    key_rows::KEY_BATCH,
    pool::{read, write},
    tables::{api_keys, outcome_proofs},
};
use crate::{
    crypto::Vault,
    ids::{GroupId, KeyId},
    secret::Secret,
};

/// How far a node's outcomes are in the states that are stored with it.
#[derive(Clone, Debug, Default)]
pub struct OutcomeProofs {
    /// The node, by the name of its journal; at most 36 characters.
    pub node: String,
    /// Position of the last outcome of each key.
    pub positions: Vec<(KeyId, i64)>,
}

/// A row of `outcome_proofs`.
#[derive(Clone, Insertable)]
#[diesel(table_name = outcome_proofs)]
pub(super) struct ProofRow {
    node: String,
    key_id: i64,
    position: i64,
}

impl ProofRow {
    /// What tells the row from all others.
    pub(super) fn identity(&self) -> (String, i64) {
        (self.node.clone(), self.key_id)
    }
}

impl OutcomeProofs {
    pub(super) fn rows(&self) -> Vec<ProofRow> {
        let row =
            |(key, position): &(KeyId, i64)| ProofRow { node: self.node.clone(), key_id: key.0, position: *position };
        self.positions.iter().map(row).collect()
    }
}

impl Store {
    /// Positions of the last outcomes of `node` that are stored, by key.
    pub async fn outcome_proofs(&self, node: &str) -> StoreResult<HashMap<KeyId, i64>> {
        let (engine, node) = (Arc::clone(&self.engine), node.to_owned());
        self.engine
            .run(async move {
                read!(engine, |conn| {
                    let rows: Vec<(i64, i64)> = outcome_proofs::table
                        .filter(outcome_proofs::node.eq(&node))
                        .select((outcome_proofs::key_id, outcome_proofs::position))
                        .load(conn)
                        .await?;
                    Ok(rows.into_iter().map(|(key, position)| (KeyId(key), position)).collect())
                })
            })
            .await
    }

    /// Values of the keys that are stored and decrypt, by id.
    pub async fn key_values(&self, ids: &[KeyId]) -> StoreResult<HashMap<KeyId, Secret>> {
        let engine = Arc::clone(&self.engine);
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        self.engine
            .run(async move {
                let mut rows: Vec<KeyValue> = Vec::new();
                read!(engine, |conn| {
                    for ids in ids.chunks(KEY_BATCH) {
                        let some: Vec<KeyValue> = api_keys::table
                            .filter(api_keys::id.eq_any(ids))
                            .select((api_keys::id, api_keys::group_id, api_keys::key_hash, api_keys::key_value))
                            .load(conn)
                            .await?;
                        rows.extend(some);
                    }
                });
                let vault: &Vault = &engine.vault;
                Ok(rows.into_iter().filter_map(|row| opened(vault, row)).collect())
            })
            .await
    }
}

/// Id, group, hash and stored value of a key.
type KeyValue = (i64, i64, String, String);

fn opened(vault: &Vault, (id, group, hash, value): KeyValue) -> Option<(KeyId, Secret)> {
    super::key_rows::open_value(vault, GroupId(group), &hash, &value).ok().map(|value| (KeyId(id), value))
}

impl Writer {
    /// Forgets the proofs of `node` for outcomes before `position`: they are in its journal no more.
    pub async fn forget_proofs(&self, node: &str, position: i64) -> StoreResult<()> {
        let (engine, epoch, node) = (Arc::clone(&self.engine), self.epoch, node.to_owned());
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let old = outcome_proofs::table
                        .filter(outcome_proofs::node.eq(&node))
                        .filter(outcome_proofs::position.lt(position));
                    diesel::delete(old).execute(conn).await?;
                    Ok(())
                })
            })
            .await
    }
}
