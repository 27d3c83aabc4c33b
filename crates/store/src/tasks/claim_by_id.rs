//! Claim by id: a batch of asks for certain tasks, each won by one.

use std::collections::HashSet;

use domain::{Attempt, ClaimId, Grant, RawJson, TaskId, TypeName, WorkerName};
use sqlx::{PgPool, SqliteConnection};
use uuid::Uuid;

use crate::store::{Store, parse_column};
use database::DatabaseError;
use database::Db;
use database::{batch, rows, transaction};

/// An ask for one task. A batch names a task once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimById {
    /// Which task.
    pub id: TaskId,
    /// The ask's claim.
    pub claim: ClaimId,
    /// Who asks.
    pub worker: WorkerName,
    /// Whether the worker's name alone shows that it asks again (the original's PATCH knows no claims).
    pub by_name: bool,
}

/// A grant and its holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What the worker is told; `claim` is the first ask's if this one repeats it.
    pub grant: Grant,
    /// Whom it was granted to.
    pub worker: WorkerName,
}

const POSTGRES: &str = "
    update live l
    set phase = 2, attempt = l.attempt + 1, claim = a.claim, worker = a.worker,
        started = (select now_us()), due = (select now_us()) + t.ttl * 1000
    from unnest($1::uuid[], $2::uuid[], $3::text[]) as a (id, claim, worker) join task t on t.id = a.id
    where l.id = a.id and l.phase + 0 = 1 and l.due + 0 >= (select now_us())
    returning l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - (select now_us()), t.trace";

/// What already runs under the same claim. A statement of its own, after the first: an ask that raced its own repeat
/// waited there for the row, and only a newer snapshot shows it what it was granted.
const AGAIN_POSTGRES: &str = "
    select l.id, l.type, t.parameters, l.attempt, l.claim, l.worker, l.due - (select now_us()), t.trace
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::boolean[]) as a (id, claim, worker, by_name)
    join live l on l.id = a.id join task t on t.id = a.id
    where l.phase + 0 = 2 and l.worker = a.worker and (l.claim = a.claim or a.by_name) and l.due + 0 >= (select now_us())";

const SQLITE: &str = "
    update live
    set phase = 2, attempt = attempt + 1, claim = a.claim, worker = a.worker, started = ?2, due = ?2 + t.ttl * 1000
    from (select unhex(value->>0, '-') as id, unhex(value->>1, '-') as claim, value->>2 as worker from json_each(?1)) a
    join task t on t.id = a.id
    where live.id = a.id and phase = 1 and due >= ?2;

    select json_group_array(json_array(
        hex(l.id), l.type, t.parameters, l.attempt, hex(l.claim), l.worker, l.due - ?2, t.trace))
    from json_each(?1) a
    join live l on l.id = unhex(a.value->>0, '-')
    join task t on t.id = l.id
    where l.phase = 2 and l.worker = a.value->>2 and (l.claim = unhex(a.value->>1, '-') or a.value->>3)
        and l.due >= ?2";

/// Id, type, parameters, attempt, claim, worker, what is left in microseconds, trace.
pub(crate) type GrantRow = (Uuid, String, Option<String>, i32, Uuid, String, i64, Option<String>);

impl Store {
    /// Grants each task that is ready to its ask; what already runs under the same claim is granted again with the time
    /// that is left. Tasks that are missing from the answer are another's, over, or unknown.
    pub async fn claim_by_id(&self, asks: &[ClaimById]) -> Result<Vec<Granted>, DatabaseError> {
        let mut asks: Vec<&ClaimById> = asks.iter().collect();
        asks.sort_unstable_by_key(|ask| ask.id);
        let rows: Vec<GrantRow> = match &self.db {
            Db::Postgres(pools) => on_postgres(&pools.write, asks).await?,
            Db::Sqlite(pools) => {
                let rows = batch(asks.iter().map(|ask| (ask.id, ask.claim, &ask.worker, ask.by_name)));
                let claim = transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(on_sqlite(connection, rows, now))
                });
                claim.await?
            }
        };
        Ok(decode_grants(rows))
    }
}

async fn on_postgres(pool: &PgPool, mut asks: Vec<&ClaimById>) -> Result<Vec<GrantRow>, DatabaseError> {
    let mut rows: Vec<GrantRow> = sqlx::query_as(POSTGRES)
        .bind(asks.iter().map(|ask| ask.id.0).collect::<Vec<_>>())
        .bind(asks.iter().map(|ask| ask.claim.0).collect::<Vec<_>>())
        .bind(asks.iter().map(|ask| ask.worker.as_str()).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    if rows.len() < asks.len() {
        let granted: HashSet<Uuid> = rows.iter().map(|row| row.0).collect();
        asks.retain(|ask| !granted.contains(&ask.id.0));
        let again: Vec<GrantRow> = sqlx::query_as(AGAIN_POSTGRES)
            .bind(asks.iter().map(|ask| ask.id.0).collect::<Vec<_>>())
            .bind(asks.iter().map(|ask| ask.claim.0).collect::<Vec<_>>())
            .bind(asks.iter().map(|ask| ask.worker.as_str()).collect::<Vec<_>>())
            .bind(asks.iter().map(|ask| ask.by_name).collect::<Vec<_>>())
            .fetch_all(pool)
            .await?;
        rows.extend(again);
    }
    Ok(rows)
}

/// Claims a JSON batch of (id, claim, worker, by name).
pub(crate) async fn on_sqlite(
    connection: &mut SqliteConnection,
    asks: String,
    now: i64,
) -> Result<Vec<GrantRow>, DatabaseError> {
    rows(sqlx::query_as(SQLITE).bind(asks).bind(now).fetch_all(connection).await?)
}

/// The grants that make sense. They run already, so one that does not must not take the others with it: it is logged, and
/// ends by its TTL.
pub(crate) fn decode_grants(rows: impl IntoIterator<Item = GrantRow>) -> Vec<Granted> {
    let log = |error: &DatabaseError| tracing::error!(%error, "a task is granted to nobody");
    rows.into_iter().filter_map(|row| granted(row).inspect_err(log).ok()).collect()
}

fn granted(row: GrantRow) -> Result<Granted, DatabaseError> {
    let (id, name, parameters, attempt, claim, worker, remaining, trace) = row;
    let corrupt = |what: String| DatabaseError::Corrupt { table: "task", row: id, what };
    let parameters =
        parameters.map(RawJson::parse).transpose().map_err(|error| corrupt(error.to_string()))?;
    Ok(Granted {
        grant: Grant {
            id: TaskId(id),
            name: parse_column::<TypeName>("live", id, &name)?,
            parameters,
            attempt: Attempt::try_from(attempt).map_err(|error| corrupt(error.to_string()))?,
            claim: ClaimId(claim),
            remaining_ms: u64::try_from(remaining / 1000).unwrap_or(0),
            // One that makes no sense is none: it may not hold up the task.
            trace: trace.and_then(|trace| trace.parse().ok()),
        },
        worker: parse_column::<WorkerName>("live", id, &worker)?,
    })
}
