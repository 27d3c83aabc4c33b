//! Cancels tasks at their owner's request.

use database::{DatabaseError, Db, encode_batch, transaction};
use domain::{OwnerId, TaskId};
use uuid::Uuid;

use crate::store::Store;
use crate::tasks::insert_outcome::insert_outcome;
use crate::tasks::rows::{EndedRow, EndedTask, ended_tasks};

const POSTGRES: &str = concat!(
    "with gone as (
        delete from unfinished_task u using unnest($1::uuid[]) as g (id)
        where u.id = g.id and u.owner = $2
        returning u.id, u.owner, u.type, u.attempt, u.worker, u.subject, u.started_at, u.due_at
    ) ",
    insert_outcome!(now: "(select now_us())", cancelled: "'REQUESTED'", from: "gone"),
    " returning id, attempt, reason, ended_at, 0::bigint as late_us, worker, subject"
);

const INSERT_OUTCOMES_SQLITE: &str = concat!(
    insert_outcome!(now: "?3", cancelled: "'REQUESTED'", from: "unfinished_task"),
    " where id in (select unhex(value, '-') from json_each(?1)) and owner = ?2
    returning id, attempt, reason, ended_at, 0 as late_us, worker, subject"
);

const DELETE_UNFINISHED_SQLITE: &str = "
    delete from unfinished_task
    where id in (select unhex(value, '-') from json_each(?1)) and owner = ?2
        and exists (select 1 from outcome o where o.id = unfinished_task.id)";

impl Store {
    /// Cancels those of `tasks` that belong to `owner` and have not ended, and returns them.
    pub async fn cancel(&self, owner: OwnerId, tasks: &[TaskId]) -> Result<Vec<EndedTask>, DatabaseError> {
        let mut ids: Vec<Uuid> = tasks.iter().map(|task| task.0).collect();
        ids.sort_unstable();
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(POSTGRES).bind(ids).bind(owner.0).fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let ids = encode_batch(ids);
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let rows = sqlx::query_as(INSERT_OUTCOMES_SQLITE).bind(&ids).bind(owner.0).bind(now);
                        let rows = rows.fetch_all(&mut *connection).await?;
                        sqlx::query(DELETE_UNFINISHED_SQLITE)
                            .bind(&ids)
                            .bind(owner.0)
                            .execute(connection)
                            .await?;
                        Ok(rows)
                    })
                })
                .await?
            }
        };
        ended_tasks(rows)
    }
}
