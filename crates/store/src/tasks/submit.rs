//! Submit: a batch of tasks is accepted, all of it or none.

use domain::Submission;
use uuid::Uuid;

use crate::store::Store;
use database::DatabaseError;
use database::Db;
use database::{batch, transaction};

const POSTGRES: &str = "
    with accepted as (
        insert into task (id, owner, type, queue, parameters, ttl, start_within, created, trace)
        select g.id, g.owner, g.type, g.queue, g.parameters, g.ttl, g.start_within, (select now_us()), g.trace
        from unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[], $8::text[])
            as g (id, owner, type, queue, parameters, ttl, start_within, trace)
        on conflict (id) do nothing
        returning id, owner, type, queue, created, start_within
    )
    insert into live (id, owner, type, queue, phase, place, due, attempt)
    select id, owner, type, queue, 1, created, created + start_within * 1000, 0 from accepted";

/// A task that is already there is left alone: `live` goes first and looks whether it is.
const SQLITE: &str = "
    insert into live (id, owner, type, queue, phase, place, due, attempt)
    select unhex(value->>0, '-'), unhex(value->>1, '-'), value->>2, value->>3, 1, ?2, ?2 + (value->>6) * 1000, 0
    from json_each(?1)
    where not exists (select 1 from task t where t.id = unhex(value->>0, '-'))
    on conflict (id) do nothing;

    insert into task (id, owner, type, queue, parameters, ttl, start_within, created, trace)
    select unhex(value->>0, '-'), unhex(value->>1, '-'), value->>2, value->>3, value->>4, value->>5, value->>6, ?2,
        value->>7
    from json_each(?1)
    where true
    on conflict (id) do nothing";

impl Store {
    /// Accepts `tasks`: after this they are CREATED, durably. Done again with the same ids it changes nothing, so a
    /// batch whose commit is unknown is simply repeated.
    pub async fn submit(&self, tasks: &[Submission]) -> Result<(), DatabaseError> {
        let mut tasks: Vec<&Submission> = tasks.iter().collect();
        tasks.sort_by_key(|task| task.id);
        match &self.db {
            Db::Postgres(pools) => {
                let column =
                    |of: fn(&Submission) -> &str| tasks.iter().map(|task| of(task)).collect::<Vec<_>>();
                let ids: Vec<Uuid> = tasks.iter().map(|task| task.id.0).collect();
                let owners: Vec<Uuid> = tasks.iter().map(|task| task.owner.0).collect();
                let parameters: Vec<Option<&str>> =
                    tasks.iter().map(|task| task.parameters.as_ref().map(domain::RawJson::text)).collect();
                sqlx::query(POSTGRES)
                    .bind(ids)
                    .bind(owners)
                    .bind(column(|task| task.name.as_str()))
                    .bind(column(|task| task.queue.as_str()))
                    .bind(parameters)
                    .bind(tasks.iter().map(|task| millis(task.ttl)).collect::<Vec<_>>())
                    .bind(tasks.iter().map(|task| millis(task.start_within)).collect::<Vec<_>>())
                    .bind(
                        tasks
                            .iter()
                            .map(|task| task.trace.map(|trace| trace.to_string()))
                            .collect::<Vec<_>>(),
                    )
                    .execute(&pools.write)
                    .await?;
            }
            Db::Sqlite(pools) => {
                let rows = batch(tasks.iter().map(|task| {
                    let Submission { id, owner, name, queue, ttl, start_within, trace, .. } = task;
                    let parameters = task.parameters.as_ref().map(domain::RawJson::text);
                    (id, owner, name, queue, parameters, ttl, start_within, trace)
                }));
                transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        sqlx::query(SQLITE).bind(rows).bind(now).execute(connection).await?;
                        Ok(())
                    })
                })
                .await?;
            }
        }
        Ok(())
    }
}

fn millis(ttl: domain::Ttl) -> i64 {
    ttl.millis().cast_signed()
}
