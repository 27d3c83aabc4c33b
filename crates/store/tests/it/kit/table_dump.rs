//! Every row of the tables, as plain tuples that the model can write too.

use database::{Db, on};
use uuid::Uuid;

/// Id, owner, type, queue, parameters, TTL, startWithin, created, traceparent, not before, options.
pub(crate) type TaskRow =
    (Uuid, Uuid, String, String, Option<String>, i64, i64, i64, Option<String>, Option<i64>, Option<String>);

/// Id, owner, type, queue, phase, ready, due, attempt, claim, worker, started; and as text: priority, retries left, backoff, end
/// of the time of all attempts.
pub(crate) type UnfinishedRow =
    (Uuid, Uuid, String, String, i16, i64, i64, i32, Option<Uuid>, Option<String>, Option<i64>, String);

/// Id, attempt, worker, started, ended, due, reason, error.
pub(crate) type AttemptRow = (Uuid, i32, String, i64, i64, i64, Option<String>, Option<String>);

/// Id, owner, type, status, reason, attempt, started, ended, TTL, worker, result, error.
pub(crate) type OutcomeRow = (
    Uuid,
    Uuid,
    String,
    String,
    Option<String>,
    i32,
    Option<i64>,
    i64,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<String>,
);

/// Name, last heartbeat.
pub(crate) type WorkerRow = (String, i64);

/// The rows of every table but the catalogue, in the order of their keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) task: Vec<TaskRow>,
    pub(crate) unfinished: Vec<UnfinishedRow>,
    pub(crate) attempt: Vec<AttemptRow>,
    pub(crate) outcome: Vec<OutcomeRow>,
    pub(crate) worker: Vec<WorkerRow>,
}

const TASK: &str = "select id, owner, type, queue, parameters, ttl_ms, start_within_ms, created_at, traceparent, not_before_at, \
    options from task \
    order by id";

const UNFINISHED: &str = "select id, owner, type, queue, phase, ready_at, due_at, attempt, claim, worker, started_at, \
    priority || ' ' || retries_left || ' ' || coalesce(cast(backoff_ms as text), '-') || ' ' \
    || coalesce(cast(budget_end_at as text), '-') from unfinished_task \
    order by id";

const ATTEMPT: &str = "select id, attempt, worker, started_at, ended_at, due_at, reason, error from attempt order by id, attempt";

const OUTCOME: &str = "select id, owner, type, status, reason, attempt, started_at, ended_at, ttl_ms, worker, result, error \
    from outcome order by id";

const WORKER: &str = "select name, last_heartbeat_at from worker order by name";

/// Reads the rows of every table.
pub(crate) async fn dump_tables(db: &Db) -> Tables {
    on!(db, write, pool => Tables {
        task: sqlx::query_as(TASK).fetch_all(pool).await.unwrap(),
        unfinished: sqlx::query_as(UNFINISHED).fetch_all(pool).await.unwrap(),
        attempt: sqlx::query_as(ATTEMPT).fetch_all(pool).await.unwrap(),
        outcome: sqlx::query_as(OUTCOME).fetch_all(pool).await.unwrap(),
        worker: sqlx::query_as(WORKER).fetch_all(pool).await.unwrap(),
    })
}
