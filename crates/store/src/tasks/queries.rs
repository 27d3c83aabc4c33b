//! Reads: one task, its result, a page of an owner's tasks, what is ready, the books.

use domain::{
    OwnerId, Page, RawJson, Reason, Status, Task, TaskCounts, TaskId, TaskSummary, Timestamp, Ttl, TypeName,
};
use uuid::Uuid;

use crate::store::{ReadyTask, Store, parse_column};
use database::DatabaseError;
use database::on;

/// One statement: two could see a task in neither place.
const GET: &str = "
    select t.type, t.parameters, t.created, t.ttl, l.phase, o.status, o.reason, o.error,
        coalesce(o.started, l.started), o.ended, coalesce(o.attempt, l.attempt), coalesce(o.worker, l.worker)
    from task t left join live l on l.id = t.id left join outcome o on o.id = t.id
    where t.id = $1 and t.owner = $2";

const RESULT: &str = "
    select l.phase, o.status, o.reason, o.result
    from task t left join live l on l.id = t.id left join outcome o on o.id = t.id
    where t.id = $1 and t.owner = $2";

const LIST: &str = "
    select t.id, t.type, l.phase, o.status
    from task t left join live l on l.id = t.id left join outcome o on o.id = t.id
    where t.owner = $1 and t.id < $2
    order by t.id desc limit $3";

const READY: &str = "
    select id, type, queue, attempt, place from live
    where type = $1 and priority = 0 and place <= $2 and phase = 1
    order by place limit $3";

const COUNTS: &str = "
    select (select count(*) from task),
        (select count(*) from live where phase = 1), (select count(*) from live where phase = 2),
        (select count(*) from outcome where status = 'FINISHED'),
        (select count(*) from outcome where status = 'CANCELLED')";

type TaskRow = (
    String,
    Option<String>,
    i64,
    i64,
    Option<Phase>,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    i32,
    Option<String>,
);

type EndingRow = (Option<Phase>, Option<String>, Option<String>, Option<String>);

/// `live.phase`: a smallint on PostgreSQL, an integer on SQLite.
type Phase = i16;

/// How a task ended, or that it has not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Its status.
    pub status: Status,
    /// Why it was cancelled.
    pub reason: Option<Reason>,
    /// What it returned, if it finished.
    pub result: Option<RawJson>,
}

impl Store {
    /// The owner's task; another owner's is absent.
    pub async fn get(&self, owner: OwnerId, id: TaskId) -> Result<Option<Task>, DatabaseError> {
        let row: Option<TaskRow> = on!(&self.db, read, pool =>
            sqlx::query_as(GET).bind(id.0).bind(owner.0).fetch_optional(pool).await)?;
        row.map(|row| task(id, row)).transpose()
    }

    /// Whether anybody has submitted `id`: for workers, who may see every task.
    pub async fn exists(&self, id: TaskId) -> Result<bool, DatabaseError> {
        let row: Option<(i32,)> = on!(&self.db, read, pool =>
            sqlx::query_as("select 1 from task where id = $1").bind(id.0).fetch_optional(pool).await)?;
        Ok(row.is_some())
    }

    /// What the owner's task returned; another owner's is absent.
    pub async fn result(&self, owner: OwnerId, id: TaskId) -> Result<Option<Ending>, DatabaseError> {
        let row: Option<EndingRow> = on!(&self.db, read, pool =>
            sqlx::query_as(RESULT).bind(id.0).bind(owner.0).fetch_optional(pool).await)?;
        row.map(|(phase, status, reason, result)| {
            Ok(Ending {
                status: status_of(id, phase, status.as_deref())?,
                reason: reason.map(|word| parse_column("outcome", id.0, &word)).transpose()?,
                result: result.map(|text| json(id, text)).transpose()?,
            })
        })
        .transpose()
    }

    /// A page of the owner's tasks, newest first.
    pub async fn list(&self, owner: OwnerId, page: Page) -> Result<Vec<TaskSummary>, DatabaseError> {
        let before = page.before.map_or(Uuid::max(), |task| task.0);
        let limit = i64::from(page.limit.min(Page::LONGEST));
        let rows: Vec<(Uuid, String, Option<Phase>, Option<String>)> = on!(&self.db, read, pool =>
            sqlx::query_as(LIST).bind(owner.0).bind(before).bind(limit).fetch_all(pool).await)?;
        rows.into_iter()
            .map(|(id, name, phase, status)| {
                let status = status_of(TaskId(id), phase, status.as_deref())?;
                Ok(TaskSummary { id: TaskId(id), name: parse_column("task", id, &name)?, status })
            })
            .collect()
    }

    /// The oldest tasks of `types` that have been ready since `since` or before: what may be offered again.
    pub async fn ready_tasks(
        &self,
        types: &[TypeName],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReadyTask>, DatabaseError> {
        let mut ready = Vec::new();
        for name in types {
            let rows: Vec<(Uuid, String, String, i32, i64)> = on!(&self.db, read, pool =>
                sqlx::query_as(READY).bind(name.as_str()).bind(since.0).bind(i64::from(limit)).fetch_all(pool).await)?;
            for (id, name, queue, attempt, place) in rows {
                let (name, queue) = (parse_column("live", id, &name)?, parse_column("live", id, &queue)?);
                let attempt = attempt.cast_unsigned();
                ready.push(ReadyTask { id: TaskId(id), name, queue, attempt, since: Timestamp(place) });
            }
        }
        ready.sort_by_key(|task| (task.since, task.id));
        ready.truncate(limit as usize);
        Ok(ready)
    }

    /// The books, of one instant. Counts every row: for tests and operators, not for pages.
    pub async fn counts(&self) -> Result<TaskCounts, DatabaseError> {
        let (accepted, created, running, finished, cancelled): (i64, i64, i64, i64, i64) =
            on!(&self.db, read, pool => sqlx::query_as(COUNTS).fetch_one(pool).await)?;
        Ok(TaskCounts {
            accepted: accepted.cast_unsigned(),
            created: created.cast_unsigned(),
            running: running.cast_unsigned(),
            finished: finished.cast_unsigned(),
            cancelled: cancelled.cast_unsigned(),
        })
    }
}

fn task(id: TaskId, row: TaskRow) -> Result<Task, DatabaseError> {
    let (name, parameters, created, ttl, phase, status, reason, error, started, ended, attempt, worker) = row;
    let ttl = Ttl::try_from(ttl.cast_unsigned()).map_err(|bad| corrupt(id, bad.to_string()))?;
    Ok(Task {
        id,
        name: parse_column("task", id.0, &name)?,
        parameters: parameters.map(|text| json(id, text)).transpose()?,
        status: status_of(id, phase, status.as_deref())?,
        reason: reason.map(|word| parse_column("outcome", id.0, &word)).transpose()?,
        error,
        creation_date: Timestamp(created),
        start_date: started.map(Timestamp),
        end_date: ended.map(Timestamp),
        deadline: started.map(|started| Timestamp(started).plus_micros(ttl.micros())),
        ttl,
        attempt: attempt.cast_unsigned(),
        worker_name: worker.map(|name| parse_column("live", id.0, &name)).transpose()?,
    })
}

/// A status is read off: `outcome` says how it ended, else `live` says where it is.
fn status_of(id: TaskId, phase: Option<Phase>, ended: Option<&str>) -> Result<Status, DatabaseError> {
    match (ended, phase) {
        (Some(word), _) => parse_column("outcome", id.0, word),
        (None, Some(2)) => Ok(Status::Running),
        (None, Some(1)) => Ok(Status::Created),
        (None, phase) => Err(corrupt(id, format!("it has no outcome and phase {phase:?}"))),
    }
}

fn json(id: TaskId, text: String) -> Result<RawJson, DatabaseError> {
    RawJson::parse(text).map_err(|error| corrupt(id, error.to_string()))
}

fn corrupt(id: TaskId, what: String) -> DatabaseError {
    DatabaseError::Corrupt { table: "task", row: id.0, what }
}
