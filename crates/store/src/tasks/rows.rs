//! Rows that several operations return: tasks that a statement has ended, and tasks that are ready.

use database::DatabaseError;
use domain::{
    Attempt, GrantRef, Priority, QueueName, Reason, SubjectId, TaskId, Timestamp, TypeName, WorkerName,
};
use uuid::Uuid;

use crate::decode::{decode_priority, parse_column, row_struct};

/// A task that a statement has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTask {
    /// The task's id.
    pub id: TaskId,
    /// The attempt that was ended; 0 if the task was never claimed.
    pub attempt: Attempt,
    /// Why the task was cancelled; `None` if it finished.
    pub reason: Option<Reason>,
    /// When it ended, by the database's clock.
    pub ended: Timestamp,
    /// Microseconds from its deadline (before its start: from the end of `startWithin`) to its end; negative if it ended
    /// earlier.
    pub late_us: i64,
    /// The worker that was running it; `None` if no worker was.
    pub grant_worker: Option<GrantWorker>,
}

/// The worker to which a grant was given: its name, and the account or client to which the name belongs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GrantWorker {
    /// The name of the worker.
    pub worker: WorkerName,
    /// The account or client.
    pub subject: SubjectId,
}

/// A grant that has ended without a report, so that its worker must stop the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoppedGrant {
    /// The worker.
    pub grant_worker: GrantWorker,
    /// The grant.
    pub grant: GrantRef,
}

impl EndedTask {
    /// The grant that must be stopped; `None` if no worker was running the task.
    pub fn stopped_grant(&self) -> Option<StoppedGrant> {
        stopped_grant(self.id, self.attempt, self.grant_worker.as_ref())
    }
}

/// The grant of an attempt that has ended; `None` if no worker held it.
pub(crate) fn stopped_grant(
    id: TaskId,
    attempt: Attempt,
    grant_worker: Option<&GrantWorker>,
) -> Option<StoppedGrant> {
    let grant = GrantRef { id, attempt };
    grant_worker.cloned().map(|grant_worker| StoppedGrant { grant_worker, grant })
}

/// Decodes the worker of an attempt; `None` if the task was not granted.
pub(crate) fn grant_worker(
    id: Uuid,
    worker: Option<String>,
    subject: Option<Uuid>,
) -> Result<Option<GrantWorker>, DatabaseError> {
    let worker = worker.map(|worker| parse_column("unfinished_task", id, &worker)).transpose()?;
    Ok(worker.zip(subject).map(|(worker, subject)| GrantWorker { worker, subject: SubjectId(subject) }))
}

/// A task that is ready: created, and not claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyTask {
    /// The task's id.
    pub id: TaskId,
    /// Its type.
    pub type_name: TypeName,
    /// Its queue.
    pub queue: QueueName,
    /// The number of its last attempt; 0 if it was never claimed.
    pub attempt: Attempt,
    /// Its priority.
    pub priority: Priority,
    /// When it became ready, by the database's clock.
    pub since: Timestamp,
}

row_struct! {
    /// The row of a task that a statement has just ended.
    struct EndedRow {
        id: Uuid,
        attempt: i32,
        reason: Option<String>,
        ended_at: i64,
        late_us: i64,
        worker: Option<String>,
        subject: Option<Uuid>,
    }
}

/// Decodes the rows of tasks that a statement has ended.
pub(crate) fn ended_tasks(rows: Vec<EndedRow>) -> Result<Vec<EndedTask>, DatabaseError> {
    rows.into_iter().map(ended_task).collect()
}

fn ended_task(row: EndedRow) -> Result<EndedTask, DatabaseError> {
    Ok(EndedTask {
        id: TaskId(row.id),
        attempt: row.attempt.cast_unsigned(),
        reason: row.reason.map(|reason| parse_column("outcome", row.id, &reason)).transpose()?,
        ended: Timestamp(row.ended_at),
        late_us: row.late_us,
        grant_worker: grant_worker(row.id, row.worker, row.subject)?,
    })
}

row_struct! {
    /// The row of a task that is ready.
    struct ReadyRow {
        id: Uuid,
        name: String,
        queue: String,
        attempt: i32,
        priority: i16,
        ready_at: i64,
    }
}

/// Decodes the row of a task that is ready.
pub(crate) fn ready_task(row: &ReadyRow) -> Result<ReadyTask, DatabaseError> {
    Ok(ReadyTask {
        id: TaskId(row.id),
        type_name: parse_column("unfinished_task", row.id, &row.name)?,
        queue: parse_column("unfinished_task", row.id, &row.queue)?,
        attempt: row.attempt.cast_unsigned(),
        priority: decode_priority("unfinished_task", row.id, row.priority)?,
        since: Timestamp(row.ready_at),
    })
}
