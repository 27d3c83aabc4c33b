//! The sweep: ends what its time has passed, and what a silent worker held.

use std::time::Duration;

use crate::db::Db;
use crate::error::StoreError;
use crate::sqlite::transaction;
use crate::store::{Ended, EndedRow, Store, ended};

/// The most rows that one sweep ends.
pub const SWEEP: usize = 500;

const LIMIT: i64 = SWEEP.cast_signed() as i64;

const POSTGRES: &str = "
    with overdue as materialized (
        select l.id from live l
        where l.due >= $1 and l.due < (select now_us())
        order by l.due limit $2
        for update skip locked
    ), gone as (
        delete from live l using overdue where l.id = overdue.id
        returning l.id, l.owner, l.type, l.phase, l.attempt, l.worker, l.started, l.due
    ), ended as (
        insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
        select id, owner, type, 'CANCELLED', case phase when 2 then 'TTL_EXPIRED' else 'NOT_STARTED' end,
            attempt, started, (select now_us()), (due - started) / 1000, worker
        from gone
    )
    select id, attempt, case phase when 2 then 'TTL_EXPIRED' else 'NOT_STARTED' end, (select now_us()), (select now_us()) - due from gone";

const SQLITE_OUTCOME: &str = "
    insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
    select id, owner, type, 'CANCELLED', case phase when 2 then 'TTL_EXPIRED' else 'NOT_STARTED' end,
        attempt, started, ?1, (due - started) / 1000, worker
    from live where due < ?1
    order by due limit ?2
    returning id, attempt, reason, ended, 0";

const SQLITE_LIVE: &str = "
    delete from live
    where due < ?1 and exists (select 1 from outcome o where o.id = live.id)
    returning id, due";

const LOST_POSTGRES: &str = "
    with lost as (
        delete from worker where seen < (select now_us()) - $1 returning name
    ), held as materialized (
        select held.id from lost cross join lateral (
            select l.id from live l where l.worker = lost.name and l.phase = 2 for update skip locked
        ) held
    ), gone as (
        delete from live l using held where l.id = held.id
        returning l.id, l.owner, l.type, l.attempt, l.worker, l.started, l.due
    ), ended as (
        insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
        select id, owner, type, 'CANCELLED', 'WORKER_LOST', attempt, started, greatest((select now_us()), started),
            (due - started) / 1000, worker
        from gone
    )
    select id, attempt, 'WORKER_LOST', (select now_us()), (select now_us()) - due from gone";

const LOST_SQLITE_OUTCOME: &str = "
    insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
    select l.id, l.owner, l.type, 'CANCELLED', 'WORKER_LOST', l.attempt, l.started, max(?1, l.started),
        (l.due - l.started) / 1000, l.worker
    from worker w join live l on l.worker = w.name
    where w.seen < ?1 - ?2 and l.phase = 2
    returning id, attempt, reason, ended, ended - started - ttl * 1000";

const LOST_SQLITE_LIVE: &str = "
    delete from live
    where phase = 2 and worker in (select name from worker where seen < ?1 - ?2)
        and exists (select 1 from outcome o where o.id = live.id)";

const LOST_SQLITE_WORKER: &str = "delete from worker where seen < ?1 - ?2";

impl Store {
    /// Ends what is past its time: RUNNING past its deadline (`TTL_EXPIRED`), CREATED past its `startWithin`
    /// (`NOT_STARTED`). At most 500 at once; a full answer means that there may be more.
    pub async fn sweep(&self) -> Result<Vec<Ended>, StoreError> {
        let before = self.now().0;
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                let floor = self.floors().of_due(before);
                sqlx::query_as(POSTGRES).bind(floor).bind(LIMIT).fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let mut rows: Vec<EndedRow> = sqlx::query_as(SQLITE_OUTCOME)
                            .bind(now)
                            .bind(LIMIT)
                            .fetch_all(&mut *connection)
                            .await?;
                        let due: Vec<(uuid::Uuid, i64)> =
                            sqlx::query_as(SQLITE_LIVE).bind(now).fetch_all(connection).await?;
                        let due: std::collections::HashMap<_, _> = due.into_iter().collect();
                        for row in &mut rows {
                            row.4 = now - due.get(&row.0).copied().unwrap_or(now);
                        }
                        Ok(rows)
                    })
                })
                .await?
            }
        };
        if rows.len() < SWEEP {
            self.floors().swept(before);
        }
        rows.into_iter().map(ended).collect()
    }

    /// Forgets the workers that have been silent for longer than `silence`, and ends what they held (`WORKER_LOST`). A
    /// worker that never sent a heartbeat has no row to be forgotten: its claims end by their TTL alone.
    pub async fn lose_workers(&self, silence: Duration) -> Result<Vec<Ended>, StoreError> {
        let silence = i64::try_from(silence.as_micros()).unwrap_or(i64::MAX);
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(LOST_POSTGRES).bind(silence).fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let rows = sqlx::query_as(LOST_SQLITE_OUTCOME).bind(now).bind(silence);
                        let rows = rows.fetch_all(&mut *connection).await?;
                        sqlx::query(LOST_SQLITE_LIVE)
                            .bind(now)
                            .bind(silence)
                            .execute(&mut *connection)
                            .await?;
                        sqlx::query(LOST_SQLITE_WORKER).bind(now).bind(silence).execute(connection).await?;
                        Ok(rows)
                    })
                })
                .await?
            }
        };
        rows.into_iter().map(ended).collect()
    }
}
