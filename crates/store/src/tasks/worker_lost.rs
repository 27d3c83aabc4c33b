//! Ends the running tasks of lost workers: of those that have stopped sending heartbeats, and of the earlier processes of a
//! worker that has started again.

use std::time::Duration;

use database::{DatabaseError, Db, transaction};
use domain::WorkerProcess;

use crate::store::Store;
use crate::tasks::end_attempts::{
    EndedAttemptRow, EndedAttempts, HeldRow, decode_ended_attempts, end_attempts_on_postgres,
    end_attempts_on_sqlite, held_columns_on_sqlite,
};
use crate::tasks::insert_outcome::insert_outcome;

/// How long a worker's row is kept after the worker has been declared lost, in microseconds. A claim request of the lost worker
/// may still be waiting; tasks that are granted to that request are found, and ended, by means of the row.
const ROW_RETENTION: i64 = 60_000_000;

/// Marks a silent worker as lost. The mark stays until its next heartbeat.
const MARK_POSTGRES: &str =
    "update worker set is_lost = true where not is_lost and last_heartbeat_at < (select now_us()) - $1";

const MARK_SQLITE: &str = "update worker set is_lost = 1 where not is_lost and last_heartbeat_at < ?2 - ?1";

/// The columns of running attempts of lost workers, of rows `u` of `unfinished_task`. Each statement skips a row that another one
/// has locked: the next call finds it if it still runs.
macro_rules! columns_on_postgres {
    () => {
        "u.*, 'WORKER_LOST' as reason, null::text as error, false as is_permanent, null::bigint as retry_after_ms"
    };
}

macro_rules! running_on_sqlite {
    ($lost:literal) => {
        concat!(
            "select ",
            held_columns_on_sqlite!(),
            ", 'WORKER_LOST' as reason, null as error, false as is_permanent, null as retry_after_ms
            from unfinished_task u left join task t on u.retries_left > 0 and t.id = u.id
            where u.phase = 2 and ",
            $lost
        )
    };
}

const LOST_POSTGRES: &str = end_attempts_on_postgres!(concat!(
    "select running.* from (select name, subject from worker where is_lost) lost cross join lateral (
        select ",
    columns_on_postgres!(),
    " from unfinished_task u
        where u.worker = lost.name and u.phase = 2 and u.subject = lost.subject for update skip locked
    ) running"
));

const LOST_SQLITE: &str = running_on_sqlite!(
    "u.worker in (select name from worker where is_lost)
        and u.subject = (select lost.subject from worker lost where lost.name = u.worker)"
);

const EARLIER_POSTGRES: &str = end_attempts_on_postgres!(concat!(
    "select ",
    columns_on_postgres!(),
    " from unfinished_task u
    where u.worker = $1 and u.phase = 2 and u.subject = $2 and u.instance <> $3 for update skip locked"
));

const EARLIER_SQLITE: &str = running_on_sqlite!("u.worker = ?1 and u.subject = ?2 and u.instance <> ?3");

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
    ) -> Result<EndedAttempts, DatabaseError> {
        let silence = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let retention = silence.saturating_add(ROW_RETENTION);
        let rows: Vec<EndedAttemptRow> = match &self.db {
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
                        let lost: Vec<HeldRow> =
                            sqlx::query_as(LOST_SQLITE).fetch_all(&mut *connection).await?;
                        let lost = end_attempts_on_sqlite(connection, lost, now).await?;
                        sqlx::query(DELETE_SQLITE).bind(retention).bind(now).execute(connection).await?;
                        Ok(lost)
                    })
                })
                .await?
            }
        };
        decode_ended_attempts(rows)
    }

    /// Ends what runs under the name of `process` for the same subject and was granted to another process (`WORKER_LOST`). It is
    /// for a process that holds the name: an earlier one is gone.
    pub async fn end_tasks_of_earlier_processes(
        &self,
        process: &WorkerProcess,
    ) -> Result<EndedAttempts, DatabaseError> {
        let WorkerProcess { name, subject, instance } = process.clone();
        let rows: Vec<EndedAttemptRow> = match &self.db {
            Db::Postgres(pools) => {
                let lost =
                    sqlx::query_as(EARLIER_POSTGRES).bind(name.as_str()).bind(subject.0).bind(instance.0);
                lost.fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let lost = sqlx::query_as(EARLIER_SQLITE).bind(name.as_str()).bind(subject.0);
                        let lost: Vec<HeldRow> = lost.bind(instance.0).fetch_all(&mut *connection).await?;
                        end_attempts_on_sqlite(connection, lost, now).await
                    })
                })
                .await?
            }
        };
        decode_ended_attempts(rows)
    }
}
