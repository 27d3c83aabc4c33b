//! Ends attempts whose deadline has passed, and tasks whose time to start has passed.

use database::{DatabaseError, Db, transaction};

use crate::store::Store;
use crate::tasks::end_attempts::{
    EndedAttemptRow, EndedAttempts, HeldRow, decode_ended_attempts, end_attempts_on_postgres,
    end_attempts_on_sqlite, held_columns_on_sqlite,
};
use crate::tasks::insert_outcome::insert_outcome;

/// The most attempts that one call of [`Store::expire`] ends.
pub const EXPIRE_BATCH_SIZE: usize = 500;

const LIMIT: i64 = EXPIRE_BATCH_SIZE.cast_signed() as i64;

/// Why a task of the row `u` ends whose time has passed: `$now` is the current time. A task that waits may have used up the time of
/// all its attempts.
macro_rules! reason {
    ($now:literal) => {
        concat!(
            "case when u.phase = 2 or u.budget_end_at < ",
            $now,
            " then 'TTL_EXPIRED' else 'NOT_STARTED' end as reason"
        )
    };
}

const POSTGRES: &str = end_attempts_on_postgres!(concat!(
    "select u.*, ",
    reason!("(select now_us())"),
    ", null::text as error, u.phase <> 2 as is_permanent, null::bigint as retry_after_ms
    from unfinished_task u
    where u.due_at >= $1 and u.due_at < (select now_us())
    order by u.due_at limit $2
    for update skip locked"
));

const SQLITE: &str = concat!(
    "select ",
    held_columns_on_sqlite!(),
    ", ",
    reason!("?1"),
    ", null as error, u.phase <> 2 as is_permanent, null as retry_after_ms
    from unfinished_task u left join task t on u.retries_left > 0 and t.id = u.id
    where u.due_at < ?1
    order by u.due_at limit ?2"
);

impl Store {
    /// Ends the attempts past their deadline (`TTL_EXPIRED`), and cancels the tasks that wait past their `startWithin`
    /// (`NOT_STARTED`) or past the time of all their attempts (`TTL_EXPIRED`), the longest overdue first. It ends at most
    /// [`EXPIRE_BATCH_SIZE`]; if it ends as many, there may be more.
    pub async fn expire(&self) -> Result<EndedAttempts, DatabaseError> {
        let rows: Vec<EndedAttemptRow> = match &self.db {
            Db::Postgres(pools) => {
                let before = self.now().0;
                let floor = self.floors().due_start(before);
                let rows: Vec<EndedAttemptRow> =
                    sqlx::query_as(POSTGRES).bind(floor).bind(LIMIT).fetch_all(&pools.write).await?;
                if rows.len() < EXPIRE_BATCH_SIZE {
                    self.floors().due_scanned_to(before);
                }
                rows
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let overdue = sqlx::query_as(SQLITE).bind(now).bind(LIMIT);
                        let overdue: Vec<HeldRow> = overdue.fetch_all(&mut *connection).await?;
                        end_attempts_on_sqlite(connection, overdue, now).await
                    })
                })
                .await?
            }
        };
        decode_ended_attempts(rows)
    }
}
