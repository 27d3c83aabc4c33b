//! Makes delayed tasks ready whose time has come.

use database::{DatabaseError, Db, transaction};

use crate::store::Store;
use crate::tasks::rows::{ReadyRow, ReadyTask, ready_task};

/// The most tasks that one call of [`Store::promote_delayed`] makes ready.
pub const PROMOTE_BATCH_SIZE: usize = 500;

const LIMIT: i64 = PROMOTE_BATCH_SIZE.cast_signed() as i64;

/// A task counts as ready from now on, not from the instant that it was to wait for: scans of ready tasks begin a little before
/// now, and would miss one that became ready in the past.
const POSTGRES: &str = "
    with due as materialized (
        select id from unfinished_task
        where phase = 0 and ready_at <= (select now_us())
        order by ready_at limit $1
        for update skip locked
    )
    update unfinished_task u set phase = 1, ready_at = (select now_us())
    from due where u.id = due.id
    returning u.id, u.type as name, u.queue, u.attempt, u.priority, u.ready_at";

const SQLITE: &str = "
    update unfinished_task set phase = 1, ready_at = ?2
    where id in (select id from unfinished_task where phase = 0 and ready_at <= ?2 order by ready_at limit ?1)
    returning id, type as name, queue, attempt, priority, ready_at";

impl Store {
    /// Makes the delayed tasks ready whose time has come, those that have waited longest first, and returns them. It makes at
    /// most [`PROMOTE_BATCH_SIZE`] ready; if it makes as many, there may be more.
    pub async fn promote_delayed(&self) -> Result<Vec<ReadyTask>, DatabaseError> {
        let rows: Vec<ReadyRow> = match &self.db {
            Db::Postgres(pools) => sqlx::query_as(POSTGRES).bind(LIMIT).fetch_all(&pools.write).await?,
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, |connection, now| {
                    Box::pin(async move {
                        let promoted = sqlx::query_as(SQLITE).bind(LIMIT).bind(now);
                        Ok(promoted.fetch_all(connection).await?)
                    })
                })
                .await?
            }
        };
        rows.iter().map(ready_task).collect()
    }
}
