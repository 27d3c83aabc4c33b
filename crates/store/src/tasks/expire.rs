//! The sweep: ends what its time has passed.

use std::collections::HashMap;

use uuid::Uuid;

use crate::store::{EndedRow, EndedTask, Store, ended};
use database::DatabaseError;
use database::Db;
use database::{batch, transaction};

/// The most rows that one sweep ends.
pub const EXPIRE_BATCH_SIZE: usize = 500;

const LIMIT: i64 = EXPIRE_BATCH_SIZE.cast_signed() as i64;

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
    delete from live where id in (select unhex(value, '-') from json_each(?1))
    returning id, due";

impl Store {
    /// Ends what is past its time: RUNNING past its deadline (`TTL_EXPIRED`), CREATED past its `startWithin`
    /// (`NOT_STARTED`). At most 500 at once; a full answer means that there may be more.
    pub async fn expire(&self) -> Result<Vec<EndedTask>, DatabaseError> {
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                let before = self.now().0;
                let floor = self.floors().of_due(before);
                let rows = sqlx::query_as(POSTGRES).bind(floor).bind(LIMIT).fetch_all(&pools.write).await?;
                if rows.len() < EXPIRE_BATCH_SIZE {
                    self.floors().swept(before);
                }
                rows
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let mut rows: Vec<EndedRow> = sqlx::query_as(SQLITE_OUTCOME)
                            .bind(now)
                            .bind(LIMIT)
                            .fetch_all(&mut *connection)
                            .await?;
                        let ids = batch(rows.iter().map(|row| row.0));
                        let due: Vec<(Uuid, i64)> =
                            sqlx::query_as(SQLITE_LIVE).bind(ids).fetch_all(connection).await?;
                        let due: HashMap<_, _> = due.into_iter().collect();
                        for row in &mut rows {
                            row.4 = now - due.get(&row.0).copied().unwrap_or(now);
                        }
                        Ok(rows)
                    })
                })
                .await?
            }
        };
        rows.into_iter().map(ended).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::Clock;

    /// Nothing but what was ended is looked at, however much more is overdue.
    #[tokio::test]
    async fn on_sqlite_a_sweep_deletes_by_key() {
        let directory = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("tasks.db").display());
        let store = Store::new(Db::open(&url).unwrap(), Clock::default());
        store.migrate().await.unwrap();
        let Db::Sqlite(pools) = &store.db else { panic!("{url}") };
        let explain = sqlx::AssertSqlSafe(format!("explain query plan {SQLITE_LIVE}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).bind("[]").fetch_all(&pools.read).await.unwrap();
        assert_eq!(plan[0].3, "SEARCH live USING PRIMARY KEY (id=?)");
    }
}
