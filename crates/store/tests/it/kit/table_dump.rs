//! Every row of the three tables, as plain tuples that a model can write too.

use database::{Db, on};
use uuid::Uuid;

/// Id, owner, type, queue, parameters, ttl, startWithin, created, trace.
pub(crate) type TaskRow = (Uuid, Uuid, String, String, Option<String>, i64, i64, i64, Option<String>);

/// Id, owner, type, queue, phase, place, due, attempt, claim, worker, started.
pub(crate) type LiveRow =
    (Uuid, Uuid, String, String, i16, i64, i64, i32, Option<Uuid>, Option<String>, Option<i64>);

/// Id, owner, type, status, reason, attempt, started, ended, ttl, worker, result, error.
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

/// Name, when it was last heard.
pub(crate) type WorkerRow = (String, i64);

/// Everything that the store knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) task: Vec<TaskRow>,
    pub(crate) live: Vec<LiveRow>,
    pub(crate) outcome: Vec<OutcomeRow>,
    pub(crate) worker: Vec<WorkerRow>,
}

const TASK: &str =
    "select id, owner, type, queue, parameters, ttl, start_within, created, trace from task order by id";

const LIVE: &str =
    "select id, owner, type, queue, phase, place, due, attempt, claim, worker, started from live order by id";

const OUTCOME: &str = "select id, owner, type, status, reason, attempt, started, ended, ttl, worker, result, error \
    from outcome order by id";

const WORKER: &str = "select name, seen from worker order by name";

/// Reads them all.
pub(crate) async fn books(db: &Db) -> Books {
    on!(db, write, pool => Books {
        task: sqlx::query_as(TASK).fetch_all(pool).await.unwrap(),
        live: sqlx::query_as(LIVE).fetch_all(pool).await.unwrap(),
        outcome: sqlx::query_as(OUTCOME).fetch_all(pool).await.unwrap(),
        worker: sqlx::query_as(WORKER).fetch_all(pool).await.unwrap(),
    })
}
