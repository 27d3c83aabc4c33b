//! Cancel: an owner ends what has not ended.

use domain::{OwnerId, TaskId};
use uuid::Uuid;

use crate::store::{EndedRow, EndedTask, Store, ended};
use database::DatabaseError;
use database::Db;
use database::{batch, transaction};

const POSTGRES: &str = "
    with gone as (
        delete from live l using unnest($1::uuid[]) as g (id)
        where l.id = g.id and l.owner = $2
        returning l.id, l.owner, l.type, l.attempt, l.worker, l.started, l.phase, l.due
    )
    insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
    select id, owner, type, 'CANCELLED', 'REQUESTED', attempt, started, greatest((select now_us()), started),
        case phase when 2 then (due - started) / 1000 end, worker
    from gone
    returning id, attempt, reason, ended, 0::bigint";

const SQLITE_OUTCOME: &str = "
    insert into outcome (id, owner, type, status, reason, attempt, started, ended, ttl, worker)
    select id, owner, type, 'CANCELLED', 'REQUESTED', attempt, started, max(?3, coalesce(started, ?3)),
        case phase when 2 then (due - started) / 1000 end, worker
    from live where id in (select unhex(value, '-') from json_each(?1)) and owner = ?2
    returning id, attempt, reason, ended, 0";

const SQLITE_LIVE: &str = "
    delete from live
    where id in (select unhex(value, '-') from json_each(?1)) and owner = ?2
        and exists (select 1 from outcome o where o.id = live.id)";

impl Store {
    /// Cancels those of `tasks` that are the owner's and have not ended; they are the answer.
    pub async fn cancel(&self, owner: OwnerId, tasks: &[TaskId]) -> Result<Vec<EndedTask>, DatabaseError> {
        let mut ids: Vec<Uuid> = tasks.iter().map(|task| task.0).collect();
        ids.sort_unstable();
        let rows: Vec<EndedRow> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(POSTGRES).bind(ids).bind(owner.0).fetch_all(&pools.write).await?
            }
            Db::Sqlite(pools) => {
                let ids = batch(ids);
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let rows = sqlx::query_as(SQLITE_OUTCOME).bind(&ids).bind(owner.0).bind(now);
                        let rows = rows.fetch_all(&mut *connection).await?;
                        sqlx::query(SQLITE_LIVE).bind(&ids).bind(owner.0).execute(connection).await?;
                        Ok(rows)
                    })
                })
                .await?
            }
        };
        rows.into_iter().map(ended).collect()
    }
}
