//! Decides what becomes of blocked tasks: they wait for other tasks, their parents, to finish.
//!
//! It follows the commit that ends a parent, in a statement of its own: a statement that ends tasks costs the same whether others wait for
//! them or not. The rows of `dependency` stay until then, so what a killed process has left undone is done later.

use std::collections::HashSet;

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::{OwnerId, Reason, TaskId, Timestamp};
use sqlx::SqliteConnection;
use uuid::Uuid;

use crate::decode::row_struct;
use crate::store::Store;
use crate::tasks::rows::EndedTask;

/// The most tasks that one call of [`Store::resolve_dependents`] decides.
pub const RESOLVE_BATCH_SIZE: usize = 500;

const LIMIT: i64 = RESOLVE_BATCH_SIZE.cast_signed() as i64;

/// Inserts the outcomes of blocked tasks that are cancelled, each with its `error`: `$from` has their columns of `unfinished_task` and the error.
macro_rules! insert_dependency_failed {
    (now: $now:literal, from: $from:literal) => {
        $crate::tasks::insert_outcome::insert_outcome!(
            now: $now,
            status: "'CANCELLED'",
            reason: "'DEPENDENCY_FAILED'",
            result: "null",
            error: "error",
            from: $from
        )
    };
}

pub(crate) use insert_dependency_failed;

/// A parent of the task `c` that ended without a result, or was deleted; null if there is none.
macro_rules! failed_parent {
    ($differs:literal) => {
        concat!(
            "(select d.parent
              from dependency d left join unfinished_task p on p.id = d.parent left join outcome o on o.id = d.parent
              where d.id = c.id and p.id is null and o.status ",
            $differs,
            " 'FINISHED' limit 1) as failed_parent"
        )
    };
}

/// Whether a parent of the task `c` has not ended.
macro_rules! waits {
    () => {
        "exists (select 1 from dependency d join unfinished_task p on p.id = d.parent where d.id = c.id) as waits"
    };
}

/// The statement on PostgreSQL, for the tasks that `$candidates` selects. A task whose parameters are still to be completed stays blocked.
macro_rules! resolve_on_postgres {
    ($candidates:literal) => {
        concat!(
            "with candidate as materialized (",
            $candidates,
            "), judged as materialized (
                select c.id, exists (select 1 from unfinished_task u where u.id = c.id and u.phase = -1) as is_blocked, ",
            failed_parent!("is distinct from"),
            ", ",
            waits!(),
            " from candidate c
            ), decided as materialized (
                select u.id, j.failed_parent, t.start_within_ms, greatest((select now_us()), t.not_before_at) as ready_at,
                    jsonb_exists(t.options::jsonb, 'parametersFrom') as needs_parameters
                from judged j join unfinished_task u on u.id = j.id join task t on t.id = j.id
                where u.phase = -1 and (j.failed_parent is not null or not j.waits)
                limit $1
                for update of u skip locked
            ), freed as (
                update unfinished_task u
                set phase = 0, ready_at = d.ready_at, due_at = d.ready_at + d.start_within_ms * 1000
                from decided d where u.id = d.id and d.failed_parent is null and not d.needs_parameters
            ), gone as (
                delete from unfinished_task u using decided d where u.id = d.id and d.failed_parent is not null
                returning u.id, u.owner, u.type, u.attempt, u.worker, u.subject, u.started_at, u.due_at,
                    'task ' || d.failed_parent || ' did not finish' as error
            ), ended as (",
            insert_dependency_failed!(now: "(select now_us())", from: "gone"),
            "), resolved as (
                delete from dependency x using judged j left join decided d on d.id = j.id
                where x.id = j.id and (not j.is_blocked or d.failed_parent is not null or not d.needs_parameters)
            )
            select id, true as is_blocked, failed_parent, needs_parameters, ready_at, start_within_ms, (select now_us()) as now_at
            from decided"
        )
    };
}

const OF_PARENTS_POSTGRES: &str =
    resolve_on_postgres!("select distinct id from dependency where parent = any($2)");

const ALL_POSTGRES: &str = resolve_on_postgres!("select distinct id from dependency");

/// The tasks on SQLite of which something is to be decided, among those that `$candidates` selects.
macro_rules! decided_on_sqlite {
    ($candidates:literal) => {
        concat!(
            "select id, is_blocked, failed_parent, needs_parameters, ready_at, start_within_ms, ?2 as now_at from (
                select c.id, coalesce(u.phase = -1, false) as is_blocked, ",
            failed_parent!("is not"),
            ", ",
            waits!(),
            ", t.options->'parametersFrom' is not null as needs_parameters, max(?2, coalesce(t.not_before_at, ?2)) as ready_at,
                coalesce(t.start_within_ms, 0) as start_within_ms
                from (",
            $candidates,
            ") c left join unfinished_task u on u.id = c.id left join task t on t.id = c.id
            )
            where not is_blocked or failed_parent is not null or not waits
            limit ?1"
        )
    };
}

const OF_PARENTS_SQLITE: &str = decided_on_sqlite!(
    "select distinct id from dependency where parent in (select unhex(value, '-') from json_each(?3))"
);

const ALL_SQLITE: &str = decided_on_sqlite!("select distinct id from dependency");

const FREE_SQLITE: &str = "
    update unfinished_task set phase = 0, ready_at = f.ready_at, due_at = f.due_at
    from (select unhex(value->>0, '-') as id, value->>1 as ready_at, value->>2 as due_at from json_each(?1)) f
    where unfinished_task.id = f.id";

const INSERT_OUTCOMES_SQLITE: &str = insert_dependency_failed!(
    now: "?2",
    from: "(
        select u.*, value->>1 as error
        from json_each(?1) join unfinished_task u on u.id = unhex(value->>0, '-') where u.phase = -1
    )"
);

const DELETE_UNFINISHED_SQLITE: &str = "delete from unfinished_task where phase = -1 and id in (select unhex(value->>0, '-') from json_each(?1))";

pub(crate) const DELETE_DEPENDENCIES_SQLITE: &str =
    "delete from dependency where id in (select unhex(value->>0, '-') from json_each(?1))";

const OWN_POSTGRES: &str = "select id from task where owner = $1 and id = any($2)";

const OWN_SQLITE: &str =
    "select id from task where owner = ?1 and id in (select unhex(value, '-') from json_each(?2))";

/// What became of blocked tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedDependents {
    /// The tasks that were cancelled, since a parent has failed.
    pub ended: Vec<EndedTask>,
    /// The tasks that are blocked no more, since their parents have all finished.
    pub freed: Vec<FreedTask>,
    /// The tasks whose parents have all finished, and whose parameters are to be completed with their results.
    pub awaiting_parameters: Vec<TaskId>,
    /// Whether there may be more of which something is to be decided.
    pub has_more: bool,
}

/// A task that is blocked no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreedTask {
    /// The task's id.
    pub id: TaskId,
    /// When it becomes ready, by the database's clock.
    pub ready_at: Timestamp,
}

row_struct! {
    /// A task that is blocked no more, or whose parameters are to be completed.
    struct DecidedRow {
        id: Uuid,
        is_blocked: bool,
        failed_parent: Option<Uuid>,
        needs_parameters: bool,
        ready_at: i64,
        start_within_ms: i64,
        now_at: i64,
    }
}

impl Store {
    /// Decides what becomes of the blocked tasks that wait for one of `parents`, or of all of them, at most of [`RESOLVE_BATCH_SIZE`]. A
    /// task whose parents have all finished is delayed, until it may be ready; one of whose parents ended otherwise is cancelled
    /// (`DEPENDENCY_FAILED`).
    pub async fn resolve_dependents(
        &self,
        parents: Option<&[TaskId]>,
    ) -> Result<ResolvedDependents, DatabaseError> {
        let rows: Vec<DecidedRow> = match (&self.db, parents) {
            (Db::Postgres(pools), None) => {
                sqlx::query_as(ALL_POSTGRES).bind(LIMIT).fetch_all(&pools.write).await?
            }
            (Db::Postgres(pools), Some(parents)) => {
                let parents: Vec<Uuid> = parents.iter().map(|parent| parent.0).collect();
                let resolved = sqlx::query_as(OF_PARENTS_POSTGRES).bind(LIMIT).bind(parents);
                resolved.fetch_all(&pools.write).await?
            }
            (Db::Sqlite(pools), parents) => {
                let parents = parents.map(encode_batch);
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(resolve_on_sqlite(connection, parents, now))
                })
                .await?
            }
        };
        Ok(resolved_dependents(&rows))
    }

    /// Those of `tasks` that are tasks of `owner`.
    pub async fn own_tasks(
        &self,
        owner: OwnerId,
        tasks: &[TaskId],
    ) -> Result<HashSet<TaskId>, DatabaseError> {
        let rows: Vec<(Uuid,)> = match &self.db {
            Db::Postgres(pools) => {
                let tasks: Vec<Uuid> = tasks.iter().map(|task| task.0).collect();
                sqlx::query_as(OWN_POSTGRES).bind(owner.0).bind(tasks).fetch_all(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let own = sqlx::query_as(OWN_SQLITE).bind(owner.0).bind(encode_batch(tasks));
                own.fetch_all(&pools.read).await?
            }
        };
        Ok(rows.into_iter().map(|(id,)| TaskId(id)).collect())
    }
}

async fn resolve_on_sqlite(
    connection: &mut SqliteConnection,
    parents: Option<String>,
    now: i64,
) -> Result<Vec<DecidedRow>, DatabaseError> {
    let decided = match parents {
        Some(parents) => sqlx::query_as(OF_PARENTS_SQLITE).bind(LIMIT).bind(now).bind(parents),
        None => sqlx::query_as(ALL_SQLITE).bind(LIMIT).bind(now),
    };
    let decided: Vec<DecidedRow> = decided.fetch_all(&mut *connection).await?;
    let is_resolved =
        |row: &&DecidedRow| !row.is_blocked || row.failed_parent.is_some() || !row.needs_parameters;
    let resolved = encode_batch(decided.iter().filter(is_resolved).map(|row| (row.id,)));
    let (failed, freed): (Vec<_>, Vec<_>) =
        decided.iter().filter(|row| row.is_blocked).partition(|row| row.failed_parent.is_some());
    if !failed.is_empty() {
        let failed = failed.into_iter().filter_map(|row| Some((row.id, did_not_finish(row.failed_parent?))));
        end_on_sqlite(connection, encode_batch(failed), now).await?;
    }
    let freed = freed.into_iter().filter(|row| !row.needs_parameters);
    let freed = freed.map(|row| (row.id, row.ready_at, row.ready_at + row.start_within_ms * 1000));
    sqlx::query(FREE_SQLITE).bind(encode_batch(freed)).execute(&mut *connection).await?;
    sqlx::query(DELETE_DEPENDENCIES_SQLITE).bind(resolved).execute(connection).await?;
    Ok(decided.into_iter().filter(|row| row.is_blocked).collect())
}

/// Cancels blocked tasks, each with its error.
pub(crate) async fn end_on_sqlite(
    connection: &mut SqliteConnection,
    failed: String,
    now: i64,
) -> Result<(), DatabaseError> {
    sqlx::query(INSERT_OUTCOMES_SQLITE).bind(&failed).bind(now).execute(&mut *connection).await?;
    sqlx::query(DELETE_UNFINISHED_SQLITE).bind(failed).execute(connection).await?;
    Ok(())
}

fn did_not_finish(parent: Uuid) -> String {
    format!("task {parent} did not finish")
}

/// A blocked task that was cancelled.
pub(crate) fn ended_blocked(id: Uuid, now: i64) -> EndedTask {
    EndedTask {
        id: TaskId(id),
        attempt: 0,
        reason: Some(Reason::DependencyFailed),
        ended: Timestamp(now),
        late_us: 0,
        grant_worker: None,
    }
}

fn resolved_dependents(rows: &[DecidedRow]) -> ResolvedDependents {
    let mut resolved =
        ResolvedDependents { has_more: rows.len() == RESOLVE_BATCH_SIZE, ..ResolvedDependents::default() };
    for row in rows {
        if row.failed_parent.is_some() {
            resolved.ended.push(ended_blocked(row.id, row.now_at));
        } else if row.needs_parameters {
            resolved.awaiting_parameters.push(TaskId(row.id));
        } else {
            resolved.freed.push(FreedTask { id: TaskId(row.id), ready_at: Timestamp(row.ready_at) });
        }
    }
    resolved
}
