//! Ends the running tasks of lost workers: of those that have stopped sending heartbeats, and of the earlier processes of a
//! worker that has started again.

use std::time::Duration;

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::WorkerProcess;
use sqlx::SqliteConnection;

use crate::store::Store;
use crate::tasks::insert_outcome::insert_outcome;
use crate::tasks::rows::{EndedRow, EndedTask, ended_tasks};

/// How long a worker's row is kept after the worker has been declared lost, in microseconds. A claim request of the lost worker
/// may still be waiting; tasks that are granted to that request are found, and ended, by means of the row.
const ROW_RETENTION: i64 = 60_000_000;

/// A worker is lost once, by the Backend that notices, until it sends a heartbeat again.
const MARK_POSTGRES: &str =
    "update worker set is_lost = true where not is_lost and last_heartbeat_at < (select now_us()) - $1";

const MARK_SQLITE: &str = "update worker set is_lost = 1 where not is_lost and last_heartbeat_at < ?2 - ?1";

/// Ends the running tasks that `$lost` selects, of the rows `u` of `unfinished_task`. A row that another statement has locked
/// is skipped: the next call finds it if it still runs.
macro_rules! end_tasks_on_postgres {
    ($lost:literal) => {
        concat!(
            "with running as materialized (",
            $lost,
            "), gone as (
                delete from unfinished_task u using running where u.id = running.id
                returning u.id, u.owner, u.type, u.attempt, u.worker, u.subject, u.started_at, u.due_at
            ), ended as (",
            insert_outcome!(now: "(select now_us())", cancelled: "'WORKER_LOST'", from: "gone"),
            ")
            select id, attempt, 'WORKER_LOST' as reason, (select now_us()) as ended_at,
                (select now_us()) - due_at as late_us, worker, subject
            from gone"
        )
    };
}

macro_rules! end_tasks_on_sqlite {
    (now: $now:literal, lost: $lost:literal) => {
        concat!(
            insert_outcome!(now: $now, cancelled: "'WORKER_LOST'", from: "unfinished_task"),
            " where phase = 2 and ",
            $lost,
            "
            returning id, attempt, reason, ended_at, ended_at - started_at - ttl_ms * 1000 as late_us,
                worker, subject"
        )
    };
}

const LOST_POSTGRES: &str = end_tasks_on_postgres!(
    "select locked.id from (select name, subject from worker where is_lost) lost cross join lateral (
        select u.id from unfinished_task u
        where u.worker = lost.name and u.phase = 2 and u.subject = lost.subject for update skip locked
    ) locked"
);

const LOST_SQLITE: &str = end_tasks_on_sqlite!(
    now: "?1",
    lost: "worker in (select name from worker where is_lost)
        and subject = (select lost.subject from worker lost where lost.name = unfinished_task.worker)"
);

const EARLIER_POSTGRES: &str = end_tasks_on_postgres!(
    "select u.id from unfinished_task u
    where u.worker = $1 and u.phase = 2 and u.subject = $2 and u.instance <> $3 for update skip locked"
);

const EARLIER_SQLITE: &str =
    end_tasks_on_sqlite!(now: "?4", lost: "worker = ?1 and subject = ?2 and instance <> ?3");

const DELETE_UNFINISHED_SQLITE: &str =
    "delete from unfinished_task where id in (select unhex(value, '-') from json_each(?1))";

const DELETE_POSTGRES: &str = "
    delete from worker w
    where w.is_lost and w.last_heartbeat_at < (select now_us()) - $1
        and not exists (select 1 from unfinished_task u where u.worker = w.name and u.phase = 2)";

const DELETE_SQLITE: &str = "
    delete from worker
    where is_lost and last_heartbeat_at < ?2 - ?1
        and not exists (select 1 from unfinished_task u where u.worker = worker.name and u.phase = 2)";

impl Store {
    /// Marks the workers as lost that have sent no heartbeat for longer than `silence`, ends the running tasks of all lost ones
    /// (`WORKER_LOST`), and deletes the rows of those that have been silent for a minute more and run nothing. A worker that
    /// has never sent a heartbeat has no row: its tasks end by their TTL alone.
    pub async fn end_tasks_of_silent_workers(
        &self,
        silence: Duration,
    ) -> Result<Vec<EndedTask>, DatabaseError> {
        let silence = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let retention = silence.saturating_add(ROW_RETENTION);
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query(MARK_POSTGRES).bind(silence).execute(&pools.write).await?;
                let lost = sqlx::query_as(LOST_POSTGRES).fetch_all(&pools.write).await?;
                sqlx::query(DELETE_POSTGRES).bind(retention).execute(&pools.write).await?;
                lost
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        sqlx::query(MARK_SQLITE).bind(silence).bind(now).execute(&mut *connection).await?;
                        let lost: Vec<EndedRow> =
                            sqlx::query_as(LOST_SQLITE).bind(now).fetch_all(&mut *connection).await?;
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

    /// Ends what runs under the name of `process` for the same subject and was granted to another process (`WORKER_LOST`). It is
    /// for a process that holds the name: an earlier one is gone.
    pub async fn end_tasks_of_earlier_processes(
        &self,
        process: &WorkerProcess,
    ) -> Result<Vec<EndedTask>, DatabaseError> {
        let WorkerProcess { name, subject, instance } = process.clone();
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                let lost =
                    sqlx::query_as(EARLIER_POSTGRES).bind(name.as_str()).bind(subject.0).bind(instance.0);
                lost.fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let lost = sqlx::query_as(EARLIER_SQLITE).bind(name.as_str()).bind(subject.0);
                        let lost = lost.bind(instance.0).bind(now).fetch_all(&mut *connection).await?;
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
