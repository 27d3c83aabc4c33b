//! Lost workers: ends what a silent worker held, or the process that bore a worker's name before.

use std::time::Duration;

use domain::WorkerName;
use sqlx::SqliteConnection;

use crate::store::{EndedRow, EndedTask, Store, ended};
use database::DatabaseError;
use database::Db;
use database::{batch, transaction};

/// How much longer than its silence a worker's row is kept, in microseconds: an ask of it may still be open when it
/// falls silent, and what that ask is granted is found by the row.
const FORGET: i64 = 60_000_000;

/// Ends what the workers that `$lost` selects hold. A row that somebody else is just moving is passed over: the next
/// round finds it if it still runs.
macro_rules! postgres {
    ($lost:literal) => {
        concat!(
            "with held as materialized (
                select held.id from (",
            $lost,
            ") lost cross join lateral (
                    select l.id from live l where l.worker = lost.name and l.phase = 2 for update skip locked
                ) held
            ), gone as (
                delete from live l using held where l.id = held.id
                returning l.id, l.owner, l.type, l.attempt, l.worker, l.started, l.due
            ), ended as (
                insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
                select id, owner, type, 'CANCELLED', 'WORKER_LOST', attempt, started,
                    greatest((select now_us()), started), (due - started) / 1000, worker
                from gone
            )
            select id, attempt, 'WORKER_LOST', (select now_us()), (select now_us()) - due from gone"
        )
    };
}

macro_rules! sqlite {
    ($lost:literal) => {
        concat!(
            "insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
            select id, owner, type, 'CANCELLED', 'WORKER_LOST', attempt, started, max(?2, started),
                (due - started) / 1000, worker
            from live where phase = 2 and worker in (",
            $lost,
            ")
            returning id, attempt, reason, ended, ended - started - ttl * 1000"
        )
    };
}

const SILENT_POSTGRES: &str = postgres!("select name from worker where seen < (select now_us()) - $1");

const SILENT_SQLITE: &str = sqlite!("select name from worker where seen < ?2 - ?1");

const ONE_POSTGRES: &str = postgres!("select $1::text as name");

const ONE_SQLITE: &str = sqlite!("?1");

const SQLITE_LIVE: &str = "delete from live where id in (select unhex(value, '-') from json_each(?1))";

const FORGET_POSTGRES: &str = "
    delete from worker w
    where w.seen < (select now_us()) - $1
        and not exists (select 1 from live l where l.worker = w.name and l.phase = 2)";

const FORGET_SQLITE: &str = "
    delete from worker
    where seen < ?2 - ?1 and not exists (select 1 from live l where l.worker = worker.name and l.phase = 2)";

impl Store {
    /// Ends what the workers that have been silent for longer than `silence` hold (`WORKER_LOST`), and forgets those that
    /// have been silent for a minute more and hold nothing. A worker that never sent a heartbeat has no row to be found
    /// by: its claims end by their TTL alone.
    pub async fn end_tasks_of_silent_workers(
        &self,
        silence: Duration,
    ) -> Result<Vec<EndedTask>, DatabaseError> {
        let silence = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let forget = silence.saturating_add(FORGET);
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                let lost = sqlx::query_as(SILENT_POSTGRES).bind(silence).fetch_all(&pools.write).await?;
                sqlx::query(FORGET_POSTGRES).bind(forget).execute(&pools.write).await?;
                lost
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let lost = sqlx::query_as(SILENT_SQLITE).bind(silence).bind(now);
                        let lost = lost.fetch_all(&mut *connection).await?;
                        delete_on_sqlite(connection, &lost).await?;
                        sqlx::query(FORGET_SQLITE).bind(forget).bind(now).execute(connection).await?;
                        Ok(lost)
                    })
                })
                .await?
            }
        };
        rows.into_iter().map(ended).collect()
    }

    /// Ends everything that runs under `worker`'s name (`WORKER_LOST`): for a worker that has just started and therefore
    /// runs nothing yet, so that whatever its name still holds was its predecessor's.
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
        rows.into_iter().map(ended).collect()
    }
}

async fn delete_on_sqlite(connection: &mut SqliteConnection, lost: &[EndedRow]) -> Result<(), DatabaseError> {
    let ids = batch(lost.iter().map(|row| row.0));
    sqlx::query(SQLITE_LIVE).bind(ids).execute(connection).await?;
    Ok(())
}
