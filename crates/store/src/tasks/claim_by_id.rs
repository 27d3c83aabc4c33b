//! Claims tasks by id: a batch of claims, each for one task. A ready task is granted to one claim.

use std::collections::HashSet;

use database::{DatabaseError, Db, decode_rows, encode_batch, transaction};
use domain::{Attempt, ClaimId, Grant, RawJson, TaskId, TypeName, WorkerName, WorkerProcess};
use sqlx::{PgPool, SqliteConnection};
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};
use crate::store::Store;

/// A claim for one task. A batch names each task at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimById {
    /// The task that is claimed.
    pub id: TaskId,
    /// The claim's id; a repeated claim has the same one.
    pub claim: ClaimId,
    /// The worker that claims.
    pub worker: WorkerProcess,
    /// Whether the worker alone identifies a repeated claim, since the PATCH route of the API has no claim ids.
    pub by_name: bool,
}

/// A grant and the worker that it was given to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// What the worker receives. For a claim that is repeated by name, `claim` is the first one's.
    pub grant: Grant,
    /// The worker that claims the task.
    pub worker: WorkerName,
}

/// The assignments that begin an attempt on PostgreSQL, of the row `u` of `unfinished_task` and the row `t` of its task. A task whose
/// attempts are limited together runs for what is left of their time, in whole milliseconds, if that is less than its TTL. (`least`
/// ignores null.)
macro_rules! begin_attempt_on_postgres {
    () => {
        "phase = 2, attempt = u.attempt + 1, started_at = (select now_us()),
        budget_end_at = coalesce(u.budget_end_at, (select now_us()) + (t.options::jsonb->>'totalTtlMs')::bigint * 1000),
        due_at = (select now_us()) + 1000 * least(t.ttl_ms,
            (u.budget_end_at - (select now_us())) / 1000, (t.options::jsonb->>'totalTtlMs')::bigint)"
    };
}

pub(crate) use begin_attempt_on_postgres;

const POSTGRES: &str = concat!(
    "update unfinished_task u
    set claim = a.claim, worker = a.worker, subject = a.subject, instance = a.instance, ",
    begin_attempt_on_postgres!(),
    "
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[]) as a (id, claim, worker, subject, instance)
    join task t on t.id = a.id
    where u.id = a.id and u.phase + 0 = 1 and u.due_at + 0 >= (select now_us())
    returning u.id, u.type as name, t.parameters, u.attempt, u.claim, u.worker,
        u.due_at - (select now_us()) as remaining_us, t.traceparent"
);

/// What already runs under the same claim. It is a statement of its own after the first: if two requests with one
/// claim id run at once, the second waits in the first statement for the row lock, and only a later statement sees what the first
/// request was granted.
const REPEATED_POSTGRES: &str = "
    select u.id, u.type as name, t.parameters, u.attempt, u.claim, u.worker,
        u.due_at - (select now_us()) as remaining_us, t.traceparent
    from unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::uuid[], $6::boolean[])
        as a (id, claim, worker, subject, instance, by_name)
    join unfinished_task u on u.id = a.id join task t on t.id = a.id
    where u.phase + 0 = 2 and u.worker = a.worker and u.subject = a.subject
        and (u.claim = a.claim or a.by_name and u.instance = a.instance)
        and u.due_at + 0 >= (select now_us())";

/// The elements of the JSON array are in the order of the fields of [`GrantRow`].
const SQLITE: &str = "
    update unfinished_task
    set phase = 2, attempt = attempt + 1, claim = a.claim, worker = a.worker,
        subject = a.subject, instance = a.instance, started_at = ?2,
        budget_end_at = coalesce(budget_end_at, ?2 + (t.options->>'totalTtlMs') * 1000),
        due_at = ?2 + 1000 * min(t.ttl_ms,
            coalesce((budget_end_at - ?2) / 1000, t.options->>'totalTtlMs', t.ttl_ms))
    from (select unhex(value->>0, '-') as id, unhex(value->>1, '-') as claim, value->>2 as worker,
              unhex(value->>3, '-') as subject, unhex(value->>4, '-') as instance from json_each(?1)) a
    join task t on t.id = a.id
    where unfinished_task.id = a.id and phase = 1 and due_at >= ?2;

    select json_group_array(json_array(
        hex(u.id), u.type, t.parameters, u.attempt, hex(u.claim), u.worker, u.due_at - ?2, t.traceparent))
    from json_each(?1) a
    join unfinished_task u on u.id = unhex(a.value->>0, '-')
    join task t on t.id = u.id
    where u.phase = 2 and u.worker = a.value->>2 and u.subject = unhex(a.value->>3, '-')
        and (u.claim = unhex(a.value->>1, '-') or a.value->>5 and u.instance = unhex(a.value->>4, '-'))
        and u.due_at >= ?2";

row_struct! {
    /// A row of a grant: columns of the unfinished task and of the task.
    #[derive(serde::Deserialize)]
    struct GrantRow {
        id: Uuid,
        name: String,
        parameters: Option<String>,
        attempt: i32,
        claim: Uuid,
        worker: String,
        remaining_us: i64,
        traceparent: Option<String>,
    }
}

impl Store {
    /// Grants each ready task to its claim. What already runs under the same claim is returned again, with the time that is
    /// left. Tasks that are missing from the answer are granted to others, have ended, or are unknown.
    pub async fn claim_by_id(&self, claims: &[ClaimById]) -> Result<Vec<Granted>, DatabaseError> {
        let mut claims: Vec<&ClaimById> = claims.iter().collect();
        claims.sort_unstable_by_key(|claim| claim.id);
        let rows: Vec<GrantRow> = match &self.db {
            Db::Postgres(pools) => claim_on_postgres(&pools.write, claims).await?,
            Db::Sqlite(pools) => {
                let rows = encode_batch(claims.iter().map(|ClaimById { id, claim, worker, by_name }| {
                    (id, claim, &worker.name, worker.subject, worker.instance, by_name)
                }));
                let granted = transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(claim_on_sqlite(connection, rows, now))
                });
                granted.await?
            }
        };
        Ok(decode_grants(rows))
    }
}

async fn claim_on_postgres(
    pool: &PgPool,
    mut claims: Vec<&ClaimById>,
) -> Result<Vec<GrantRow>, DatabaseError> {
    let mut rows: Vec<GrantRow> = sqlx::query_as(POSTGRES)
        .bind(claims.iter().map(|claim| claim.id.0).collect::<Vec<_>>())
        .bind(claims.iter().map(|claim| claim.claim.0).collect::<Vec<_>>())
        .bind(claims.iter().map(|claim| claim.worker.name.as_str()).collect::<Vec<_>>())
        .bind(claims.iter().map(|claim| claim.worker.subject.0).collect::<Vec<_>>())
        .bind(claims.iter().map(|claim| claim.worker.instance.0).collect::<Vec<_>>())
        .fetch_all(pool)
        .await?;
    if rows.len() < claims.len() {
        let granted: HashSet<Uuid> = rows.iter().map(|row| row.id).collect();
        claims.retain(|claim| !granted.contains(&claim.id.0));
        let repeated: Vec<GrantRow> = sqlx::query_as(REPEATED_POSTGRES)
            .bind(claims.iter().map(|claim| claim.id.0).collect::<Vec<_>>())
            .bind(claims.iter().map(|claim| claim.claim.0).collect::<Vec<_>>())
            .bind(claims.iter().map(|claim| claim.worker.name.as_str()).collect::<Vec<_>>())
            .bind(claims.iter().map(|claim| claim.worker.subject.0).collect::<Vec<_>>())
            .bind(claims.iter().map(|claim| claim.worker.instance.0).collect::<Vec<_>>())
            .bind(claims.iter().map(|claim| claim.by_name).collect::<Vec<_>>())
            .fetch_all(pool)
            .await?;
        rows.extend(repeated);
    }
    Ok(rows)
}

/// Claims a JSON batch of (id, claim, worker's name, subject, instance, by name).
pub(crate) async fn claim_on_sqlite(
    connection: &mut SqliteConnection,
    claims: String,
    now: i64,
) -> Result<Vec<GrantRow>, DatabaseError> {
    decode_rows(sqlx::query_as(SQLITE).bind(claims).bind(now).fetch_all(connection).await?)
}

/// Decodes grants. The tasks run already, so a corrupt row must not fail the others: it is logged, and its task ends by its
/// TTL.
pub(crate) fn decode_grants(rows: impl IntoIterator<Item = GrantRow>) -> Vec<Granted> {
    let log =
        |error: &DatabaseError| tracing::error!(%error, "a corrupt task was claimed; it ends by its TTL");
    rows.into_iter().filter_map(|row| decode_grant(row).inspect_err(log).ok()).collect()
}

fn decode_grant(row: GrantRow) -> Result<Granted, DatabaseError> {
    let id = row.id;
    let parameters = row.parameters.map(RawJson::parse).transpose();
    Ok(Granted {
        grant: Grant {
            id: TaskId(id),
            type_name: parse_column::<TypeName>("unfinished_task", id, &row.name)?,
            parameters: parameters.map_err(|error| corrupt("task", id, error))?,
            attempt: Attempt::try_from(row.attempt).map_err(|error| corrupt("unfinished_task", id, error))?,
            claim: ClaimId(row.claim),
            remaining_ms: u64::try_from(row.remaining_us / 1000).unwrap_or(0),
            // A trace is no reason to hold up the task: an invalid one is ignored.
            trace: row.traceparent.and_then(|traceparent| traceparent.parse().ok()),
        },
        worker: parse_column::<WorkerName>("unfinished_task", id, &row.worker)?,
    })
}
