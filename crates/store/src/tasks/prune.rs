//! Deletes ended tasks that were submitted long ago, a limited number at a time.

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::Timestamp;
use uuid::Uuid;

use crate::store::Store;

/// Ids begin with the time of submission, so the oldest tasks are the first keys. Unfinished tasks stay.
const POSTGRES: &str = "
    with old as materialized (
        select t.id, t.owner, t.options from task t join outcome o on o.id = t.id
        where t.id < $1 order by t.id limit $2
    ), deleted as (
        delete from outcome o using old where o.id = old.id
    ), deleted_attempts as (
        delete from attempt a using old where a.id = old.id
    ), deleted_labels as (
        delete from task_label l using old, json_each_text(old.options::json->'labels') label
        where l.owner = old.owner and l.key = label.key and l.value = label.value and l.id = old.id
    ), deleted_progress as (
        delete from progress p using old where p.id = old.id
    ), deleted_stops as (
        delete from attempt_stop s using old where s.id = old.id
    )
    delete from task t using old where t.id = old.id";

const DELETE_TASKS_SQLITE: &str = "
    delete from task where id in (
        select t.id from task t join outcome o on o.id = t.id
        where t.id < ?1 order by t.id limit ?2)
    returning id, owner, options";

const DELETE_OUTCOMES_SQLITE: &str =
    "delete from outcome where id in (select unhex(value, '-') from json_each(?1))";

const DELETE_ATTEMPTS_SQLITE: &str =
    "delete from attempt where id in (select unhex(value, '-') from json_each(?1))";
const DELETE_PROGRESS_SQLITE: &str =
    "delete from progress where id in (select unhex(value, '-') from json_each(?1))";

const DELETE_LABELS_SQLITE: &str = "
    delete from task_label where (owner, key, value, id) in (
        select unhex(t.value->>1, '-'), l.key, l.value, unhex(t.value->>0, '-')
        from json_each(?1) t, json_each(t.value->>2, '$.labels') l)";

const DELETE_STOPS_SQLITE: &str =
    "delete from attempt_stop where id in (select unhex(value, '-') from json_each(?1))";

impl Store {
    /// Deletes at most `limit` ended tasks that were submitted before `before`, the oldest first, and returns their number.
    pub async fn prune(&self, before: Timestamp, limit: u32) -> Result<u64, DatabaseError> {
        let (before, limit) = (first_id_at(before), i64::from(limit));
        match &self.db {
            Db::Postgres(pools) => {
                let deleted = sqlx::query(POSTGRES).bind(before).bind(limit).execute(&pools.write).await?;
                Ok(deleted.rows_affected())
            }
            Db::Sqlite(pools) => {
                transaction(&pools.write, &self.clock, move |connection, _| {
                    Box::pin(async move {
                        let deleted = sqlx::query_as(DELETE_TASKS_SQLITE).bind(before).bind(limit);
                        let deleted: Vec<(Uuid, Uuid, Option<String>)> =
                            deleted.fetch_all(&mut *connection).await?;
                        let ids = encode_batch(deleted.iter().map(|(id, ..)| id));
                        sqlx::query(DELETE_OUTCOMES_SQLITE).bind(&ids).execute(&mut *connection).await?;
                        sqlx::query(DELETE_ATTEMPTS_SQLITE).bind(&ids).execute(&mut *connection).await?;
                        sqlx::query(DELETE_PROGRESS_SQLITE).bind(&ids).execute(&mut *connection).await?;
                        let with_options: Vec<_> =
                            deleted.iter().filter(|(.., options)| options.is_some()).collect();
                        if !with_options.is_empty() {
                            let tasks = encode_batch(with_options);
                            sqlx::query(DELETE_LABELS_SQLITE).bind(tasks).execute(&mut *connection).await?;
                        }
                        sqlx::query(DELETE_STOPS_SQLITE).bind(ids).execute(&mut *connection).await?;
                        sqlx::raw_sql("pragma incremental_vacuum(1000)").execute(connection).await?;
                        Ok(deleted.len() as u64)
                    })
                })
                .await
            }
        }
    }
}

/// A lower bound of all ids that are issued at `at` or later: a UUID of version 7 begins with 48 bits of milliseconds (RFC 9562).
fn first_id_at(at: Timestamp) -> Uuid {
    Uuid::from_u128(u128::from(at.0.max(0).cast_unsigned() / 1000) << 80)
}
