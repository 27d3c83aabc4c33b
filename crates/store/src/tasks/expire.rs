//! Ends tasks whose deadline, or whose time to start, has passed.

use std::collections::HashMap;

use database::{DatabaseError, Db, encode_batch, transaction};
use uuid::Uuid;

use crate::store::Store;
use crate::tasks::insert_outcome::insert_outcome;
use crate::tasks::rows::{EndedRow, EndedTask, ended_tasks};

/// The most tasks that one call of [`Store::expire`] ends.
pub const EXPIRE_BATCH_SIZE: usize = 500;

const LIMIT: i64 = EXPIRE_BATCH_SIZE.cast_signed() as i64;

const POSTGRES: &str = concat!(
    "with overdue as materialized (
        select u.id from unfinished_task u
        where u.due_at >= $1 and u.due_at < (select now_us())
        order by u.due_at limit $2
        for update skip locked
    ), gone as (
        delete from unfinished_task u using overdue where u.id = overdue.id
        returning u.id, u.owner, u.type, u.phase, u.attempt, u.worker, u.subject, u.started_at, u.due_at
    ), ended as (",
    insert_outcome!(
        now: "(select now_us())",
        cancelled: "case phase when 2 then 'TTL_EXPIRED' else 'NOT_STARTED' end",
        from: "gone"
    ),
    ")
    select id, attempt, case phase when 2 then 'TTL_EXPIRED' else 'NOT_STARTED' end as reason,
        (select now_us()) as ended_at, (select now_us()) - due_at as late_us, worker, subject
    from gone"
);

const INSERT_OUTCOMES_SQLITE: &str = concat!(
    insert_outcome!(
        now: "?1",
        cancelled: "case phase when 2 then 'TTL_EXPIRED' else 'NOT_STARTED' end",
        from: "unfinished_task"
    ),
    " where due_at < ?1
    order by due_at limit ?2
    returning id, attempt, reason, ended_at, 0 as late_us, worker, subject"
);

const DELETE_UNFINISHED_SQLITE: &str = "
    delete from unfinished_task where id in (select unhex(value, '-') from json_each(?1))
    returning id, due_at";

impl Store {
    /// Ends the running tasks past their deadline (`TTL_EXPIRED`) and the created ones past their `startWithin`
    /// (`NOT_STARTED`), the longest overdue first. It ends at most [`EXPIRE_BATCH_SIZE`]; if it ends as many, there may be more.
    pub async fn expire(&self) -> Result<Vec<EndedTask>, DatabaseError> {
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                let before = self.now().0;
                let floor = self.floors().due_start(before);
                let rows = sqlx::query_as(POSTGRES).bind(floor).bind(LIMIT).fetch_all(&pools.write).await?;
                if rows.len() < EXPIRE_BATCH_SIZE {
                    self.floors().due_scanned_to(before);
                }
                rows
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let mut rows: Vec<EndedRow> = sqlx::query_as(INSERT_OUTCOMES_SQLITE)
                            .bind(now)
                            .bind(LIMIT)
                            .fetch_all(&mut *connection)
                            .await?;
                        let ids = encode_batch(rows.iter().map(|row| row.id));
                        let due: Vec<(Uuid, i64)> =
                            sqlx::query_as(DELETE_UNFINISHED_SQLITE).bind(ids).fetch_all(connection).await?;
                        let due: HashMap<_, _> = due.into_iter().collect();
                        for row in &mut rows {
                            row.late_us = now - due.get(&row.id).copied().unwrap_or(now);
                        }
                        Ok(rows)
                    })
                })
                .await?
            }
        };
        ended_tasks(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::ProcessClock;

    /// However many tasks are overdue, only those that were ended are looked up.
    #[tokio::test]
    async fn on_sqlite_expired_tasks_are_deleted_by_key() {
        let directory = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite:{}", directory.path().join("tasks.db").display());
        let store = Store::new(Db::open(&url).unwrap(), ProcessClock::default());
        store.migrate().await.unwrap();
        let Db::Sqlite(pools) = &store.db else { panic!("{url} is not SQLite") };
        let explain = sqlx::AssertSqlSafe(format!("explain query plan {DELETE_UNFINISHED_SQLITE}"));
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(explain).bind("[]").fetch_all(&pools.read).await.unwrap();
        assert_eq!(plan[0].3, "SEARCH unfinished_task USING PRIMARY KEY (id=?)");
    }
}
