//! Bringing stored secrets into another form, in bounded batches, each one transaction together with how far it is: what was
//! killed goes on where it was.

mod batch;

use std::sync::Arc;

use diesel::{
    AsChangeset, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper,
};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreError, StoreResult, Writer,
    pool::{Engine, read, write},
    tables::{api_keys, recasts, request_logs},
};
use crate::{crypto::Vault, time::Timestamp};

/// The one row of `recasts`.
pub(super) const ONLY: i64 = 1;

/// What a recast is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecastPurpose {
    /// Encrypts the values of header rules, which former versions stored in the clear.
    HeaderRules,
    /// Brings everything under the latest data key.
    Rotate,
    /// Encrypts a plain database.
    Enable,
    /// Decrypts an encrypted database.
    Disable,
}

impl RecastPurpose {
    const ALL: [Self; 4] = [Self::HeaderRules, Self::Rotate, Self::Enable, Self::Disable];

    /// The word in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HeaderRules => "header_rules",
            Self::Rotate => "rotate",
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}

/// The table under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Settings,
    Groups,
    Keys,
    Logs,
    /// All rows are done; the end is still to be stored.
    Done,
}

impl Stage {
    const ALL: [Self; 5] = [Self::Settings, Self::Groups, Self::Keys, Self::Logs, Self::Done];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Settings => "settings",
            Self::Groups => "groups",
            Self::Keys => "api_keys",
            Self::Logs => "request_logs",
            Self::Done => "done",
        }
    }
}

/// How far a recast is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recast {
    /// What it is for.
    pub purpose: RecastPurpose,
    /// Table under way: `settings`, `groups`, `api_keys`, `request_logs`, or `done`.
    pub stage: &'static str,
    /// Whether it goes through the tables once more, to prove that nothing is left.
    pub is_check: bool,
    /// Rows looked at.
    pub processed: i64,
    /// Rows to look at; an estimate, since rows come and go meanwhile.
    pub total: i64,
    /// Values that do not decrypt and stay what they are.
    pub unreadable: i64,
    /// Begin.
    pub started_at: Timestamp,
    /// End; `None` while it is under way.
    pub finished_at: Option<Timestamp>,
}

/// The row of `recasts`.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = recasts, treat_none_as_null = true, treat_none_as_default_value = false)]
pub(super) struct RecastRow {
    id: i64,
    purpose: String,
    stage: String,
    last_row: String,
    is_check: bool,
    processed: i64,
    total: i64,
    changed: i64,
    unreadable: i64,
    started_at: i64,
    finished_at: Option<i64>,
}

impl RecastRow {
    /// A recast that begins now and will look at `total` rows.
    pub(super) fn begin(purpose: RecastPurpose, total: i64, now: Timestamp) -> Self {
        Self {
            id: ONLY,
            purpose: purpose.as_str().to_owned(),
            stage: Stage::Settings.as_str().to_owned(),
            last_row: String::new(),
            is_check: false,
            processed: 0,
            total,
            changed: 0,
            unreadable: 0,
            started_at: now.0,
            finished_at: None,
        }
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.finished_at.is_some()
    }

    pub(super) fn purpose(&self) -> StoreResult<RecastPurpose> {
        let found = RecastPurpose::ALL.into_iter().find(|purpose| purpose.as_str() == self.purpose);
        found.ok_or_else(|| StoreError::damaged("recast", &self.purpose))
    }

    fn stage(&self) -> StoreResult<Stage> {
        let found = Stage::ALL.into_iter().find(|stage| stage.as_str() == self.stage);
        found.ok_or_else(|| StoreError::damaged("recast", &self.stage))
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done.as_str()
    }

    pub(super) const fn unreadable(&self) -> i64 {
        self.unreadable
    }

    /// All rows of the stage are done.
    fn next_stage(&mut self, stage: Stage, purpose: RecastPurpose) {
        let next = match stage {
            Stage::Settings => Stage::Groups,
            Stage::Groups if purpose == RecastPurpose::HeaderRules => Stage::Done,
            Stage::Groups => Stage::Keys,
            Stage::Keys => Stage::Logs,
            // Going through all once more and finding nothing proves that the old data keys are not needed.
            Stage::Logs if purpose == RecastPurpose::Rotate && !(self.is_check && self.changed == 0) => {
                (self.is_check, self.changed, self.unreadable) = (true, 0, 0);
                Stage::Settings
            }
            Stage::Logs | Stage::Done => Stage::Done,
        };
        self.stage = next.as_str().to_owned();
        self.last_row.clear();
    }

    pub(super) fn read(&self) -> StoreResult<Recast> {
        Ok(Recast {
            purpose: self.purpose()?,
            stage: self.stage()?.as_str(),
            is_check: self.is_check,
            processed: self.processed,
            total: self.total.max(self.processed),
            unreadable: self.unreadable,
            started_at: Timestamp(self.started_at),
            finished_at: self.finished_at.map(Timestamp),
        })
    }
}

/// The vaults between which secrets go: read by one, written by the other.
#[derive(Clone)]
pub(super) struct Between {
    pub(super) from: Arc<Vault>,
    pub(super) to: Arc<Vault>,
}

impl Between {
    /// From the older data keys of a vault to its latest.
    pub(super) fn data_keys(vault: &Arc<Vault>) -> Self {
        Self { from: Arc::clone(vault), to: Arc::clone(vault) }
    }
}

impl Store {
    pub(super) async fn recast_row(&self) -> StoreResult<Option<RecastRow>> {
        let engine = Arc::clone(&self.engine);
        self.engine.run(async move { stored(&engine).await }).await
    }

    /// Rows with secrets, about.
    pub(super) async fn secret_rows(&self) -> StoreResult<i64> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                read!(engine, |conn| {
                    let keys: i64 = api_keys::table.count().get_result(conn).await?;
                    let logs: i64 = request_logs::table.count().get_result(conn).await?;
                    Ok(keys + logs)
                })
            })
            .await
    }
}

pub(super) async fn stored(engine: &Engine) -> StoreResult<Option<RecastRow>> {
    read!(engine, |conn| Ok(recasts::table.find(ONLY).select(RecastRow::as_select()).first(conn).await.optional()?))
}

/// Within a transaction: makes `$row` the recast.
macro_rules! put_recast {
    ($conn:ident, $row:expr) => {{
        use diesel::{ExpressionMethods, QueryDsl};
        use diesel_async::RunQueryDsl;
        use $crate::store::{recast::ONLY, tables::recasts};
        diesel::delete(recasts::table.filter(recasts::id.eq(ONLY))).execute($conn).await?;
        diesel::insert_into(recasts::table).values($row).execute($conn).await?;
    }};
}

pub(super) use put_recast;

impl Writer {
    /// Does one batch of the recast under way, which is for `purpose`; answers how far it is then, `None` when there is none.
    pub(super) async fn recast_batch(
        &self,
        purpose: RecastPurpose,
        between: Between,
    ) -> StoreResult<Option<RecastRow>> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let found: Option<RecastRow> =
                        recasts::table.find(ONLY).select(RecastRow::as_select()).first(conn).await.optional()?;
                    let Some(mut row) = found.filter(|row| !row.is_finished() && row.purpose == purpose.as_str())
                    else {
                        return Ok(None);
                    };
                    let stage = row.stage()?;
                    let mut caster = batch::Caster::new(purpose, between.clone());
                    let done = match stage {
                        Stage::Settings => batch::settings!(conn, caster),
                        Stage::Groups => batch::groups!(conn, caster, row.last_row),
                        Stage::Keys => batch::keys!(conn, caster, row.last_row),
                        Stage::Logs => batch::logs!(conn, caster, row.last_row),
                        Stage::Done => return Ok(Some(row)),
                    };
                    row.changed += caster.changed;
                    row.unreadable += caster.unreadable;
                    if matches!(stage, Stage::Keys | Stage::Logs) {
                        row.processed += done.rows;
                    }
                    match done.last {
                        Some(last) => row.last_row = last,
                        None => row.next_stage(stage, purpose),
                    }
                    diesel::update(recasts::table.find(ONLY)).set(row.clone()).execute(conn).await?;
                    Ok(Some(row))
                })
            })
            .await
    }

    /// Stores that the recast has come to its end.
    pub(super) async fn end_recast(&self, now: Timestamp) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let row = recasts::table.find(ONLY);
                    diesel::update(row).set(recasts::finished_at.eq(Some(now.0))).execute(conn).await?;
                    Ok(())
                })
            })
            .await
    }
}
