//! The record of the long task: one row, which outlives the node that does the work.

use std::sync::Arc;

use diesel::{ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::RunQueryDsl;

use super::{
    Store, StoreError, StoreResult, Writer,
    pool::{read, write},
    tables::tasks,
    text::{fit, fit_chars},
};
use crate::{
    task::{Task, result_from, result_text},
    time::Timestamp,
};

/// The one row.
const ROW: i64 = 1;
const NAME_CHARS: usize = 255;
const ERROR_BYTES: usize = 2_048;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = tasks)]
struct TaskRow {
    id: i64,
    task_type: String,
    group_name: String,
    owner: String,
    processed: i64,
    total: i64,
    result: Option<String>,
    error: Option<String>,
    is_cancelled: bool,
    started_at: i64,
    finished_at: Option<i64>,
    updated_at: i64,
}

impl Store {
    /// The task that was noted last, and when.
    pub async fn task(&self) -> StoreResult<Option<(Task, Timestamp)>> {
        let engine = Arc::clone(&self.engine);
        self.engine
            .run(async move {
                let row: Option<TaskRow> = read!(engine, |conn| {
                    tasks::table.find(ROW).select(TaskRow::as_select()).first(conn).await.optional()?
                });
                row.map(TaskRow::into_task).transpose()
            })
            .await
    }
}

impl Writer {
    /// Notes the task in place of the one that was noted before; `now` is its sign of life.
    pub async fn put_task(&self, task: &Task, now: Timestamp) -> StoreResult<()> {
        let (engine, epoch) = (Arc::clone(&self.engine), self.epoch);
        let row = TaskRow::new(task, now);
        self.engine
            .run(async move {
                write!(engine, epoch, |conn| {
                    diesel::delete(tasks::table.filter(tasks::id.eq(ROW))).execute(conn).await?;
                    diesel::insert_into(tasks::table).values(&row).execute(conn).await?;
                    Ok(())
                })
            })
            .await
    }
}

impl TaskRow {
    fn new(task: &Task, now: Timestamp) -> Self {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            id: ROW,
            task_type: task.kind.as_str().to_owned(),
            group_name: fit_chars(task.group.clone(), NAME_CHARS),
            owner: fit_chars(task.owner.clone(), NAME_CHARS),
            processed: number(task.processed),
            total: number(task.total),
            result: task.result.as_ref().map(result_text),
            error: task.error.clone().map(|text| fit(text, ERROR_BYTES)),
            is_cancelled: task.is_cancelled,
            started_at: task.started_at.0,
            finished_at: task.finished_at.map(|at| at.0),
            updated_at: now.0,
        }
    }

    fn into_task(self) -> StoreResult<(Task, Timestamp)> {
        let number = |count: i64| u64::try_from(count).unwrap_or(0);
        let damaged = |error: &dyn std::fmt::Display| StoreError::damaged("task", error);
        let result = self.result.as_deref().map(result_from).transpose().map_err(|error| damaged(&error))?;
        let task = Task {
            kind: self.task_type.parse().map_err(|error: String| damaged(&error))?,
            group: self.group_name,
            owner: self.owner,
            processed: number(self.processed),
            total: number(self.total),
            result,
            error: self.error,
            is_cancelled: self.is_cancelled,
            started_at: Timestamp(self.started_at),
            finished_at: self.finished_at.map(Timestamp),
        };
        Ok((task, Timestamp(self.updated_at)))
    }
}
