//! The audit log: rows that only grow, but for their retention.

use std::sync::Arc;

use diesel::{
    EscapeExpressionMethods, ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper,
    TextExpressionMethods,
};
use diesel_async::RunQueryDsl;
use serde_json::Value;

use super::{
    Page, Store, StoreResult, Writer,
    epoch::reserve_ids,
    pool::{read, write},
    tables::audit_log,
    text::{fit, fit_chars},
};
use crate::{
    audit::{Actor, AuditRow, Deed, Ending, Outcome},
    time::Timestamp,
};

/// Name of the rows' ids in `row_ids`.
const IDS: &str = "audit_log";
/// Escapes the wildcards of `LIKE`.
const ESCAPE: char = '!';

/// Which rows a list shows; `None` = any.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Exact name of who did it.
    pub actor: Option<String>,
    /// Exact kind of who did it.
    pub actor_kind: Option<String>,
    /// Exact action; one that ends with a dot stands for all that begin so.
    pub action: Option<String>,
    /// Exact kind of what it was done to.
    pub subject_type: Option<String>,
    /// Exact id of what it was done to.
    pub subject_id: Option<i64>,
    /// Exact name of what it was done to.
    pub subject_name: Option<String>,
    /// Exact outcome.
    pub outcome: Option<String>,
    /// Exact request.
    pub request_id: Option<String>,
    /// First moment.
    pub from: Option<Timestamp>,
    /// Last moment.
    pub until: Option<Timestamp>,
}

/// A row of `audit_log`.
#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = audit_log)]
struct Row {
    id: i64,
    time: i64,
    actor_kind: String,
    actor_id: Option<i64>,
    actor_name: String,
    role: String,
    address: String,
    request_id: String,
    action: String,
    subject_type: String,
    subject_id: Option<i64>,
    subject_name: String,
    values_before: Option<String>,
    values_after: Option<String>,
    outcome: String,
    error: String,
}

impl Row {
    fn new(id: i64, deed: Deed) -> Self {
        let Deed { actor, action, subject, at } = deed;
        let Actor { kind, token, name, role, address, request_id } = actor;
        Self {
            id,
            time: at.0,
            actor_kind: kind.as_str().to_owned(),
            actor_id: token.map(|token| token.0),
            actor_name: fit_chars(name, 255),
            role: role.map_or("", |role| role.as_str()).to_owned(),
            address: fit(address, 45),
            request_id: fit(request_id, 36),
            action: action.to_owned(),
            subject_type: subject.kind.to_owned(),
            subject_id: subject.id,
            subject_name: fit_chars(subject.name, 255),
            values_before: None,
            values_after: None,
            outcome: Outcome::Started.as_str().to_owned(),
            error: String::new(),
        }
    }

    fn end(&mut self, ending: Ending) {
        let Ending { outcome, subject, before, after, error } = ending;
        self.outcome = outcome.as_str().to_owned();
        (self.values_before, self.values_after) = (stored(&before), stored(&after));
        self.error = fit_chars(error, 512);
        if let Some(subject) = subject {
            self.subject_type = subject.kind.to_owned();
            self.subject_id = subject.id;
            self.subject_name = fit_chars(subject.name, 255);
        }
    }

    fn into_row(self) -> AuditRow {
        AuditRow {
            id: self.id,
            time: Timestamp(self.time),
            actor_kind: self.actor_kind,
            actor_id: self.actor_id,
            actor_name: self.actor_name,
            role: self.role,
            address: self.address,
            request_id: self.request_id,
            action: self.action,
            subject_type: self.subject_type,
            subject_id: self.subject_id,
            subject_name: self.subject_name,
            before: shown(self.values_before),
            after: shown(self.values_after),
            outcome: self.outcome,
            error: self.error,
        }
    }
}

/// JSON cannot hold a NUL unescaped, so the text fits every database as it is.
fn stored(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| value.to_string())
}

fn shown(text: Option<String>) -> Value {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// The pattern of texts that begin with `start` literally.
fn beginning(start: &str) -> String {
    let mut pattern = String::with_capacity(start.len() + 1);
    for character in start.chars() {
        if matches!(character, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(character);
    }
    pattern + "%"
}

/// The rows that meet `$filter`.
macro_rules! matching {
    ($filter:expr) => {{
        let filter: &AuditFilter = $filter;
        let mut query = audit_log::table.into_boxed();
        if let Some(from) = filter.from {
            query = query.filter(audit_log::time.ge(from.0));
        }
        if let Some(until) = filter.until {
            query = query.filter(audit_log::time.le(until.0));
        }
        if let Some(actor) = filter.actor.clone() {
            query = query.filter(audit_log::actor_name.eq(actor));
        }
        if let Some(kind) = filter.actor_kind.clone() {
            query = query.filter(audit_log::actor_kind.eq(kind));
        }
        match filter.action.clone() {
            None => {}
            Some(start) if start.ends_with('.') => {
                query = query.filter(audit_log::action.like(beginning(&start)).escape(ESCAPE));
            }
            Some(action) => query = query.filter(audit_log::action.eq(action)),
        }
        if let Some(kind) = filter.subject_type.clone() {
            query = query.filter(audit_log::subject_type.eq(kind));
        }
        if let Some(id) = filter.subject_id {
            query = query.filter(audit_log::subject_id.eq(id));
        }
        if let Some(name) = filter.subject_name.clone() {
            query = query.filter(audit_log::subject_name.eq(name));
        }
        if let Some(outcome) = filter.outcome.clone() {
            query = query.filter(audit_log::outcome.eq(outcome));
        }
        if let Some(request) = filter.request_id.clone() {
            query = query.filter(audit_log::request_id.eq(request));
        }
        query
    }};
}

impl Store {
    /// One page (from 1) of the audit log, newest first.
    pub async fn audit_page(&self, filter: &AuditFilter, page: u64, page_size: u64) -> StoreResult<Page<AuditRow>> {
        let (engine, filter) = (Arc::clone(&self.engine), filter.clone());
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let (offset, size) = (number(page.saturating_sub(1).saturating_mul(page_size)), number(page_size));
        self.engine
            .run(async move {
                let (rows, total): (Vec<Row>, i64) = read!(engine, |conn| {
                    let rows = matching!(&filter).order(audit_log::id.desc()).offset(offset).limit(size);
                    let rows = rows.select(Row::as_select()).load(conn).await?;
                    (rows, matching!(&filter).count().get_result(conn).await?)
                });
                Ok(Page { items: rows.into_iter().map(Row::into_row).collect(), total })
            })
            .await
    }
}

impl Writer {
    /// Takes note of what is about to be done, or, with its ending, of what was done; answers the row's id.
    pub async fn insert_audit(&self, deed: &Deed, ending: Option<&Ending>) -> StoreResult<i64> {
        let (engine, epoch, deed, ending) = (Arc::clone(&self.engine), self.epoch, deed.clone(), ending.cloned());
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let id = reserve_ids!(conn, IDS, 1);
                    let mut row = Row::new(id, deed);
                    if let Some(ending) = ending {
                        row.end(ending);
                    }
                    diesel::insert_into(audit_log::table).values(row).execute(conn).await?;
                    Ok(id)
                })
            })
            .await
    }

    /// Takes note of how the deed of the row `id` ended.
    pub async fn end_audit(&self, id: i64, deed: &Deed, ending: &Ending) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        let mut row = Row::new(id, deed.clone());
        row.end(ending.clone());
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let change = (
                        audit_log::subject_type.eq(row.subject_type),
                        audit_log::subject_id.eq(row.subject_id),
                        audit_log::subject_name.eq(row.subject_name),
                        audit_log::values_before.eq(row.values_before),
                        audit_log::values_after.eq(row.values_after),
                        audit_log::outcome.eq(row.outcome),
                        audit_log::error.eq(row.error),
                    );
                    diesel::update(audit_log::table.find(id)).set(change).execute(conn).await?;
                    Ok(())
                })
            })
            .await
    }

    /// Deletes at most `limit` rows from before `before`; answers how many.
    pub async fn prune_audit(&self, before: Timestamp, limit: u32) -> StoreResult<u64> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    let old = audit_log::table.filter(audit_log::time.lt(before.0)).order(audit_log::time);
                    let ids: Vec<i64> = old.limit(i64::from(limit)).select(audit_log::id).load(conn).await?;
                    let gone = audit_log::table.filter(audit_log::id.eq_any(ids));
                    Ok(diesel::delete(gone).execute(conn).await? as u64)
                })
            })
            .await
    }
}
