//! Where the keys of an import come from.

use gpt_load_schema::{
    ids::{GroupId, KeyId},
    key_text::KeyList,
    secret::Secret,
    store::{KeyFilter, Store, StoreResult},
};

use crate::commands::KEY_BATCH;

/// Keys that are handed out batch by batch.
pub(super) enum Source {
    /// Those that a person gave.
    List(KeyList),
    /// Those of another group, in id order.
    Group {
        store: Store,
        from: GroupId,
        filter: KeyFilter,
        /// The last one that was handed out.
        after: Option<KeyId>,
    },
}

/// Some keys of a [`Source`].
pub(super) struct Portion {
    pub(super) values: Vec<Secret>,
    /// Keys that were gone over for them but have no readable value.
    pub(super) unreadable: usize,
}

impl Source {
    /// The next keys; `None` at the end.
    pub(super) async fn next(&mut self) -> StoreResult<Option<Portion>> {
        match self {
            Self::List(keys) => {
                let values = keys.take(KEY_BATCH);
                Ok((!values.is_empty()).then_some(Portion { values, unreadable: 0 }))
            }
            Self::Group { store, from, filter, after } => {
                let limit = u32::try_from(KEY_BATCH).unwrap_or(u32::MAX);
                let keys = store.keys_after(*from, filter, *after, limit).await?;
                let Some(last) = keys.last() else { return Ok(None) };
                *after = Some(last.id);
                let gone_over = keys.len();
                let values: Vec<Secret> = keys.into_iter().filter_map(|key| key.value).collect();
                Ok(Some(Portion { unreadable: gone_over - values.len(), values }))
            }
        }
    }

    /// Whether keys may come and go while they are handed out.
    pub(super) const fn is_alive(&self) -> bool {
        matches!(self, Self::Group { .. })
    }
}
