//! The events of tasks that have changed: what happened, with the task as the tables have it.

use std::collections::HashMap;

use database::{DatabaseError, Db, encode_batch};
use domain::{Attempt, OwnerId, Status, TaskEvent, TaskEventKind, TaskId, Timestamp};
use uuid::Uuid;

use crate::decode::{parse_column, row_struct};
use crate::store::Store;
use crate::tasks::queries::progress;

macro_rules! select_tasks {
    ($ids:literal) => {
        concat!(
            "select t.id, t.owner, t.type as name, t.created_at, o.status, o.reason, o.ended_at,
                coalesce(o.started_at, u.started_at) as started_at, coalesce(o.attempt, u.attempt) as attempt,
                coalesce(o.worker, u.worker) as worker, p.attempt as progress_attempt, p.percent, p.message, p.reported_at
            from ",
            $ids,
            " left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
            left join progress p on p.id = t.id"
        )
    };
}

const POSTGRES: &str = select_tasks!("unnest($1::uuid[]) as changed (id) join task t on t.id = changed.id");

const SQLITE: &str =
    select_tasks!("json_each(?1) as changed join task t on t.id = unhex(changed.value, '-')");

macro_rules! select_attempts {
    ($changes:literal) => {
        concat!(
            "select a.id, a.attempt, a.reason, a.worker, a.started_at from ",
            $changes,
            " join attempt a on a.id = changed.id and a.attempt = changed.attempt"
        )
    };
}

const ATTEMPTS_POSTGRES: &str =
    select_attempts!("unnest($1::uuid[], $2::integer[]) as changed (id, attempt)");

const ATTEMPTS_SQLITE: &str = select_attempts!(
    "(select unhex(value->>0, '-') as id, value->>1 as attempt from json_each(?1)) as changed"
);

row_struct! {
    /// An attempt that ended without its task.
    struct AttemptRow {
        id: Uuid,
        attempt: i32,
        reason: Option<String>,
        worker: String,
        started_at: i64,
    }
}

row_struct! {
    struct ChangedRow {
        id: Uuid,
        owner: Uuid,
        name: String,
        created_at: i64,
        status: Option<String>,
        reason: Option<String>,
        ended_at: Option<i64>,
        started_at: Option<i64>,
        attempt: Option<i32>,
        worker: Option<String>,
        progress_attempt: Option<i32>,
        percent: Option<i16>,
        message: Option<String>,
        reported_at: Option<i64>,
    }
}

/// A change of a task that was committed, as it is announced: without anything that would have to be read for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskChange {
    /// The task.
    pub id: TaskId,
    /// What happened.
    pub kind: TaskEventKind,
    /// The number of the attempt that began or ended; 0 where `kind` is about the task as a whole.
    pub attempt: Attempt,
}

/// An event, and whose task it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOfOwner {
    /// The owner of the task.
    pub owner: OwnerId,
    /// The event, as the owner sees it.
    pub event: TaskEvent,
}

impl Store {
    /// The events of `changes`, in their order. A change that the tables do not show is left out: its task has been deleted since.
    ///
    /// A task may have changed again since: then an event has what was true of its own attempt, as far as that is still stored.
    pub async fn task_events(&self, changes: &[TaskChange]) -> Result<Vec<EventOfOwner>, DatabaseError> {
        let mut ids: Vec<Uuid> = changes.iter().map(|change| change.id.0).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows: Vec<ChangedRow> = match &self.db {
            Db::Postgres(pools) => sqlx::query_as(POSTGRES).bind(ids).fetch_all(&pools.read).await?,
            Db::Sqlite(pools) => {
                sqlx::query_as(SQLITE).bind(encode_batch(ids)).fetch_all(&pools.read).await?
            }
        };
        let rows: HashMap<Uuid, ChangedRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let attempts = self.ended_attempts(changes).await?;
        let mut events = Vec::with_capacity(changes.len());
        for change in changes {
            let Some(row) = rows.get(&change.id.0) else { continue };
            let Some(mut event) = event(*change, row)? else { continue };
            if let Some(attempt) = attempts.get(&(change.id.0, change.attempt))
                && change.kind == TaskEventKind::AttemptEnded
            {
                add_attempt(&mut event.event, attempt)?;
            }
            events.push(event);
        }
        Ok(events)
    }

    /// The last event of the task `id` of `owner`, from the tables; `None` if there is no such task or it is another owner's.
    pub async fn last_event(&self, owner: OwnerId, id: TaskId) -> Result<Option<TaskEvent>, DatabaseError> {
        let Some(task) = self.get(owner, id).await? else { return Ok(None) };
        let event = TaskEvent::last_of(&task);
        if event.event == TaskEventKind::AttemptEnded {
            let change = TaskChange { id, kind: event.event, attempt: event.attempt };
            let with_attempt = self.task_events(&[change]).await?.pop();
            return Ok(Some(with_attempt.map_or(event, |found| found.event)));
        }
        Ok(Some(event))
    }

    /// The attempts that have ended according to `changes`, by task and number.
    async fn ended_attempts(
        &self,
        changes: &[TaskChange],
    ) -> Result<HashMap<(Uuid, Attempt), AttemptRow>, DatabaseError> {
        let ended = changes.iter().filter(|change| change.kind == TaskEventKind::AttemptEnded);
        let (ids, attempts): (Vec<Uuid>, Vec<i32>) =
            ended.map(|change| (change.id.0, change.attempt.cast_signed())).unzip();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows: Vec<AttemptRow> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(ATTEMPTS_POSTGRES).bind(ids).bind(attempts).fetch_all(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let changes = encode_batch(ids.into_iter().zip(attempts));
                sqlx::query_as(ATTEMPTS_SQLITE).bind(changes).fetch_all(&pools.read).await?
            }
        };
        Ok(rows.into_iter().map(|row| ((row.id, row.attempt.cast_unsigned()), row)).collect())
    }
}

/// Adds what is known of the attempt that has ended.
fn add_attempt(event: &mut TaskEvent, attempt: &AttemptRow) -> Result<(), DatabaseError> {
    let reason = attempt.reason.as_ref();
    event.reason = reason.map(|reason| parse_column("attempt", attempt.id, reason)).transpose()?;
    event.worker_name = Some(parse_column("attempt", attempt.id, &attempt.worker)?);
    event.start_date = Some(Timestamp(attempt.started_at));
    Ok(())
}

/// The event of a change; `None` if the row does not show it.
fn event(change: TaskChange, row: &ChangedRow) -> Result<Option<EventOfOwner>, DatabaseError> {
    let TaskChange { id, kind, attempt } = change;
    let stored_attempt = row.attempt.unwrap_or(0).cast_unsigned();
    let (status, attempt) = match (kind, &row.status) {
        (TaskEventKind::Created | TaskEventKind::AttemptEnded, _) => (Status::Created, attempt),
        (TaskEventKind::Started | TaskEventKind::Progress, _) => (Status::Running, attempt),
        (TaskEventKind::Ended, Some(status)) => (parse_column("outcome", id, status)?, stored_attempt),
        (TaskEventKind::Ended, None) => return Ok(None),
    };
    let is_ended = kind == TaskEventKind::Ended;
    let is_of_stored_attempt = attempt > 0 && attempt == stored_attempt;
    let worker = row.worker.as_ref().filter(|_| is_of_stored_attempt);
    let has_progress = is_ended || kind == TaskEventKind::Progress;
    let is_of_attempt = row.progress_attempt.is_some_and(|of| of.cast_unsigned() == attempt);
    let reported = if has_progress && is_of_attempt {
        progress(row.percent, row.message.clone(), row.reported_at)
    } else {
        None
    };
    let reason = row.reason.as_ref().filter(|_| is_ended);
    let event = TaskEvent {
        event: kind,
        id,
        owner: None,
        type_name: parse_column("task", id, &row.name)?,
        status,
        reason: reason.map(|reason| parse_column("outcome", id, reason)).transpose()?,
        attempt,
        worker_name: worker.map(|name| parse_column("unfinished_task", id, name)).transpose()?,
        creation_date: Timestamp(row.created_at),
        start_date: row.started_at.filter(|_| is_of_stored_attempt).map(Timestamp),
        end_date: row.ended_at.filter(|_| is_ended).map(Timestamp),
        progress: reported,
    };
    Ok(Some(EventOfOwner { owner: OwnerId(row.owner), event }))
}
