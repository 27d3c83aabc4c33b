//! Queries: one task, its result, ready tasks, and the number of tasks in each status.

use database::{DatabaseError, on};
use domain::{
    OwnerId, Progress, RawJson, Reason, Status, SubjectId, Task, TaskCounts, TaskId, TaskOptions, Timestamp,
    Ttl, TypeName,
};
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};
use crate::priorities_in_use::ScanKey;
use crate::store::Store;
use crate::tasks::rows::{ReadyRow, ReadyTask, ready_task};

/// In one statement, since a task that ends between two would be in neither table.
const GET: &str = "
    select t.type as name, t.parameters, t.created_at, t.not_before_at, t.ttl_ms, t.options, u.phase, u.ready_at,
        case when u.phase = 2 then u.due_at else o.started_at + o.ttl_ms * 1000 end as deadline_at, o.status, o.reason, o.error, o.cancelled_by,
        coalesce(o.started_at, u.started_at) as started_at, o.ended_at,
        coalesce(s.stopped_at, case when o.reason is null or o.reason in ('OPERATION_FAILED', 'LATE_RESULT')
            then o.ended_at end) as stopped_at,
        coalesce(o.attempt, u.attempt) as attempt, coalesce(o.worker, u.worker) as worker,
        p.percent, p.message, p.reported_at
    from task t left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
        left join progress p on p.id = t.id and p.attempt = coalesce(o.attempt, u.attempt)
        left join attempt_stop s on s.id = t.id and s.attempt = coalesce(o.attempt, u.attempt)
    where t.id = $1 and t.owner = $2";

const RESULT: &str = "
    select u.phase, o.status, o.reason, o.result
    from task t left join unfinished_task u on u.id = t.id left join outcome o on o.id = t.id
    where t.id = $1 and t.owner = $2";

const READY: &str = "
    select id, type as name, queue, attempt, priority, ready_at from unfinished_task
    where type = $1 and priority = $4 and ready_at <= $2 and phase = 1
    order by ready_at limit $3";

const UNFINISHED: &str =
    "select count(*) from (select 1 from unfinished_task where owner = $1 limit $2) unfinished";

const COUNTS: &str = "
    select (select count(*) from task) as accepted,
        (select count(*) from unfinished_task where phase in (-1, 0, 1)) as created,
        (select count(*) from unfinished_task where phase = 2) as running,
        (select count(*) from outcome where status = 'FINISHED') as finished,
        (select count(*) from outcome where status = 'CANCELLED') as cancelled";

/// `unfinished_task.phase`, which is a smallint on PostgreSQL and an integer on SQLite: -1 blocked, 0 delayed, 1 ready, 2 running.
pub(crate) type Phase = i16;

row_struct! {
    struct TaskRow {
        name: String,
        parameters: Option<String>,
        created_at: i64,
        not_before_at: Option<i64>,
        ttl_ms: i64,
        options: Option<String>,
        ready_at: Option<i64>,
        deadline_at: Option<i64>,
        stopped_at: Option<i64>,
        phase: Option<Phase>,
        status: Option<String>,
        reason: Option<String>,
        error: Option<String>,
        cancelled_by: Option<Uuid>,
        started_at: Option<i64>,
        ended_at: Option<i64>,
        attempt: i32,
        worker: Option<String>,
        percent: Option<i16>,
        message: Option<String>,
        reported_at: Option<i64>,
    }
}

row_struct! {
    struct StatusAndResultRow {
        phase: Option<Phase>,
        status: Option<String>,
        reason: Option<String>,
        result: Option<String>,
    }
}

row_struct! {
    struct CountsRow {
        accepted: i64,
        created: i64,
        running: i64,
        finished: i64,
        cancelled: i64,
    }
}

/// A task's status, and what it returned if it has finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusAndResult {
    /// The task's status when it was read.
    pub status: Status,
    /// Why the task was cancelled; `None` in every other status.
    pub reason: Option<Reason>,
    /// What the operation returned; `None` unless the task has finished.
    pub result: Option<RawJson>,
}

impl Store {
    /// The task `id` of `owner`; `None` if there is none or it is another owner's.
    pub async fn get(&self, owner: OwnerId, id: TaskId) -> Result<Option<Task>, DatabaseError> {
        let row: Option<TaskRow> = on!(&self.db, read, pool =>
            sqlx::query_as(GET).bind(id.0).bind(owner.0).fetch_optional(pool).await)?;
        row.map(|row| task(id, row)).transpose()
    }

    /// Whether a task `id` exists, whoever owns it: for workers, which may see every task.
    pub async fn exists(&self, id: TaskId) -> Result<bool, DatabaseError> {
        let row: Option<(i32,)> = on!(&self.db, read, pool =>
            sqlx::query_as("select 1 from task where id = $1").bind(id.0).fetch_optional(pool).await)?;
        Ok(row.is_some())
    }

    /// The status and the result of the task `id` of `owner`; `None` if there is none or it is another owner's.
    pub async fn result(&self, owner: OwnerId, id: TaskId) -> Result<Option<StatusAndResult>, DatabaseError> {
        let row: Option<StatusAndResultRow> = on!(&self.db, read, pool =>
            sqlx::query_as(RESULT).bind(id.0).bind(owner.0).fetch_optional(pool).await)?;
        row.map(|row| {
            Ok(StatusAndResult {
                status: status_of(id, row.phase, row.status.as_deref())?,
                reason: row.reason.map(|reason| parse_column("outcome", id, &reason)).transpose()?,
                result: row.result.map(|text| json(id, text)).transpose()?,
            })
        })
        .transpose()
    }

    /// The oldest tasks of `types` that have been ready since `since` or longer, at most `limit`: those whose tickets are sent
    /// again.
    pub async fn ready_tasks(
        &self,
        types: &[TypeName],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReadyTask>, DatabaseError> {
        self.discover_priorities(types).await?;
        let mut ready = Vec::new();
        for ScanKey { type_name, priority } in self.priorities().scan_keys(types) {
            let (type_name, priority) = (type_name.as_str(), i16::from(priority.get()));
            let rows: Vec<ReadyRow> = on!(&self.db, read, pool => {
                let ready = sqlx::query_as(READY).bind(type_name).bind(since.0).bind(i64::from(limit));
                ready.bind(priority).fetch_all(pool).await
            })?;
            for row in rows {
                ready.push(ready_task(&row)?);
            }
        }
        ready.sort_by_key(|task| (task.since, task.id));
        ready.truncate(limit as usize);
        Ok(ready)
    }

    /// The number of the owner's tasks that have not ended, counted to `limit` at most.
    pub async fn unfinished_tasks_of(&self, owner: OwnerId, limit: u32) -> Result<u64, DatabaseError> {
        let (tasks,): (i64,) = on!(&self.db, read, pool =>
            sqlx::query_as(UNFINISHED).bind(owner.0).bind(i64::from(limit)).fetch_one(pool).await)?;
        Ok(tasks.cast_unsigned())
    }

    /// The number of tasks in each status, at one instant. It counts every row: for tests and operators, not for pages.
    pub async fn counts(&self) -> Result<TaskCounts, DatabaseError> {
        let row: CountsRow = on!(&self.db, read, pool => sqlx::query_as(COUNTS).fetch_one(pool).await)?;
        Ok(TaskCounts {
            accepted: row.accepted.cast_unsigned(),
            created: row.created.cast_unsigned(),
            running: row.running.cast_unsigned(),
            finished: row.finished.cast_unsigned(),
            cancelled: row.cancelled.cast_unsigned(),
        })
    }
}

fn task(id: TaskId, row: TaskRow) -> Result<Task, DatabaseError> {
    let status = status_of(id, row.phase, row.status.as_deref())?;
    let progress = progress(row.percent, row.message, row.reported_at).filter(|_| status != Status::Created);
    let ttl = Ttl::try_from(row.ttl_ms.cast_unsigned()).map_err(|error| corrupt("task", id, error))?;
    let options = read_options(id, row.options.as_deref())?;
    let max_attempts = options.max_attempts();
    let delayed_until = row.ready_at.filter(|_| row.phase == Some(0)).map(Timestamp);
    Ok(Task {
        id,
        type_name: parse_column("task", id, &row.name)?,
        parameters: row.parameters.map(|text| json(id, text)).transpose()?,
        status,
        reason: row.reason.map(|reason| parse_column("outcome", id, &reason)).transpose()?,
        error: row.error,
        cancelled_by: row.cancelled_by.map(SubjectId),
        labels: options.labels,
        creation_date: Timestamp(row.created_at),
        not_before: delayed_until.or(row.not_before_at.map(Timestamp)),
        start_date: row.started_at.map(Timestamp),
        end_date: row.ended_at.map(Timestamp),
        deadline: row.deadline_at.map(Timestamp),
        stopped_date: row.stopped_at.map(Timestamp),
        ttl,
        total_ttl_ms: options.total_ttl_ms,
        priority: options.priority,
        max_attempts,
        retry: options.retry,
        after: options.after,
        parameters_from: options.parameters_from,
        rerun_of: options.rerun_of,
        attempts: row.attempt.cast_unsigned(),
        worker_name: row.worker.map(|name| parse_column("unfinished_task", id, &name)).transpose()?,
        schedule: options.schedule,
        scheduled_for: options.scheduled_for,
        progress,
    })
}

/// What only few submissions say, of the column `options`.
pub(crate) fn read_options(id: TaskId, options: Option<&str>) -> Result<TaskOptions, DatabaseError> {
    let options = options.map(serde_json::from_str).transpose();
    Ok(options.map_err(|error| corrupt("task", id, error))?.unwrap_or_default())
}

/// The progress in the columns of `progress`, which are null without a report.
pub(crate) fn progress(
    percent: Option<i16>,
    message: Option<String>,
    reported_at: Option<i64>,
) -> Option<Progress> {
    let percent = u32::try_from(percent?).ok()?;
    Some(Progress { percent, message, date: Timestamp(reported_at?) })
}

/// The status of a task: that of its outcome, or else the one of its phase.
pub(crate) fn status_of(
    id: TaskId,
    phase: Option<Phase>,
    ended: Option<&str>,
) -> Result<Status, DatabaseError> {
    match (ended, phase) {
        (Some(status), _) => parse_column("outcome", id, status),
        (None, Some(2)) => Ok(Status::Running),
        (None, Some(-1..=1)) => Ok(Status::Created),
        (None, phase) => Err(corrupt("task", id, format_args!("it has no outcome and phase {phase:?}"))),
    }
}

fn json(id: TaskId, text: String) -> Result<RawJson, DatabaseError> {
    RawJson::parse(text).map_err(|error| corrupt("task", id, error))
}
