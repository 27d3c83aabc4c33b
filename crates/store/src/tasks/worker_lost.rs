//! Ends the running tasks of lost workers: of those that have stopped sending heartbeats, and of a worker that has restarted.

use std::time::Duration;

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::WorkerName;
use sqlx::SqliteConnection;

use crate::store::Store;
use crate::tasks::insert_outcome::insert_outcome;
use crate::tasks::rows::{EndedRow, EndedTask, ended_tasks};

/// How long a worker's row is kept after the worker has been declared lost, in microseconds. A claim request of the lost worker
/// may still be waiting; tasks that are granted to that request are found, and ended, by means of the row.
const ROW_RETENTION: i64 = 60_000_000;

/// Ends the running tasks of the workers that `$lost` selects. A row that another statement has locked is skipped: the next
/// call finds it if it still runs.
macro_rules! end_tasks_on_postgres {
    ($lost:literal) => {
        concat!(
            "with running as materialized (
                select locked.id from (",
            $lost,
            ") lost cross join lateral (
                    select u.id from unfinished_task u
                    where u.worker = lost.name and u.phase = 2 for update skip locked
                ) locked
            ), gone as (
                delete from unfinished_task u using running where u.id = running.id
                returning u.id, u.owner, u.type, u.attempt, u.worker, u.started_at, u.due_at
            ), ended as (",
            insert_outcome!(now: "(select now_us())", cancelled: "'WORKER_LOST'", from: "gone"),
            ")
            select id, attempt, 'WORKER_LOST' as reason, (select now_us()) as ended_at,
                (select now_us()) - due_at as late_us
            from gone"
        )
    };
}

macro_rules! end_tasks_on_sqlite {
    ($lost:literal) => {
        concat!(
            insert_outcome!(now: "?2", cancelled: "'WORKER_LOST'", from: "unfinished_task"),
            " where phase = 2 and worker in (",
            $lost,
            ")
            returning id, attempt, reason, ended_at, ended_at - started_at - ttl_ms * 1000 as late_us"
        )
    };
}

const SILENT_POSTGRES: &str =
    end_tasks_on_postgres!("select name from worker where last_heartbeat_at < (select now_us()) - $1");

const SILENT_SQLITE: &str = end_tasks_on_sqlite!("select name from worker where last_heartbeat_at < ?2 - ?1");

const ONE_POSTGRES: &str = end_tasks_on_postgres!("select $1::text as name");

const ONE_SQLITE: &str = end_tasks_on_sqlite!("?1");

const DELETE_UNFINISHED_SQLITE: &str =
    "delete from unfinished_task where id in (select unhex(value, '-') from json_each(?1))";

const DELETE_POSTGRES: &str = "
    delete from worker w
    where w.last_heartbeat_at < (select now_us()) - $1
        and not exists (select 1 from unfinished_task u where u.worker = w.name and u.phase = 2)";

const DELETE_SQLITE: &str = "
    delete from worker
    where last_heartbeat_at < ?2 - ?1
        and not exists (select 1 from unfinished_task u where u.worker = worker.name and u.phase = 2)";

impl Store {
    /// Ends the running tasks of the workers that have sent no heartbeat for longer than `silence` (`WORKER_LOST`), and
    /// deletes the rows of those that have been silent for a minute more and run nothing. A worker that has never sent a
    /// heartbeat has no row: its tasks end by their TTL alone.
    pub async fn end_tasks_of_silent_workers(
        &self,
        silence: Duration,
    ) -> Result<Vec<EndedTask>, DatabaseError> {
        let silence = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let retention = silence.saturating_add(ROW_RETENTION);
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                let lost = sqlx::query_as(SILENT_POSTGRES).bind(silence).fetch_all(&pools.write).await?;
                sqlx::query(DELETE_POSTGRES).bind(retention).execute(&pools.write).await?;
                lost
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let lost = sqlx::query_as(SILENT_SQLITE).bind(silence).bind(now);
                        let lost = lost.fetch_all(&mut *connection).await?;
                        delete_on_sqlite(connection, &lost).await?;
                        sqlx::query(DELETE_SQLITE).bind(retention).bind(now).execute(connection).await?;
                        Ok(lost)
                    })
                })
                .await?
            }
        };
        ended_tasks(rows)
    }

    /// Ends everything that runs under the name of `worker` (`WORKER_LOST`). It is for a worker that has just started: since
    /// it runs nothing yet, tasks under its name are those of its previous process.
    pub async fn end_tasks_of_worker(&self, worker: &WorkerName) -> Result<Vec<EndedTask>, DatabaseError> {
        let name = worker.as_str();
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => sqlx::query_as(ONE_POSTGRES).bind(name).fetch_all(&pools.write).await?,
            Db::Sqlite(pools) => {
                let name = name.to_owned();
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let lost = sqlx::query_as(ONE_SQLITE).bind(name).bind(now);
                        let lost = lost.fetch_all(&mut *connection).await?;
                        delete_on_sqlite(connection, &lost).await?;
                        Ok(lost)
                    })
                })
                .await?
            }
        };
        ended_tasks(rows)
    }
}

async fn delete_on_sqlite(connection: &mut SqliteConnection, lost: &[EndedRow]) -> Result<(), DatabaseError> {
    let ids = encode_batch(lost.iter().map(|row| row.id));
    sqlx::query(DELETE_UNFINISHED_SQLITE).bind(ids).execute(connection).await?;
    Ok(())
}
