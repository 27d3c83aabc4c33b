//! Releases running tasks that a stopping worker hands back: another worker may be granted them at once.

use std::collections::BTreeMap;

use database::{DatabaseError, Db, encode_batch, transaction};

use crate::store::Store;
use crate::tasks::current_status::CurrentStatusRow;
use crate::tasks::settle::{GrantKey, ReportedBy};

const POSTGRES: &str = "
    with held as materialized (
        select u.id, u.attempt, u.worker, u.started_at, u.due_at, u.budget_end_at, t.start_within_ms
        from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::uuid[], $6::text[])
            as r (id, attempt, claim, worker, subject, type)
        join unfinished_task u on u.id = r.id join task t on t.id = r.id
        where u.phase + 0 = 2 and u.claim = r.claim and u.attempt = r.attempt
            and u.worker = r.worker and u.subject = coalesce(r.subject, u.subject) and u.type = r.type
            and u.due_at + 0 >= (select now_us())
        order by u.id for update of u
    ), kept as (
        insert into attempt (id, attempt, worker, started_at, ended_at, due_at)
        select id, attempt, worker, started_at, greatest((select now_us()), started_at), due_at from held
    )
    update unfinished_task u
    set phase = 1, ready_at = (select now_us()),
        due_at = least((select now_us()) + h.start_within_ms * 1000, h.budget_end_at),
        claim = null, worker = null, instance = null, started_at = null
    from held h where u.id = h.id
    returning u.id, u.attempt, 'CREATED' as status, null::text as reason, 0::bigint as late_us, u.ready_at";

/// The attempts that are released: rows `u` of `unfinished_task`, and the elements of the JSON array `?1` that name them.
macro_rules! held {
    () => {
        "from json_each(?1) join unfinished_task u on u.id = unhex(value->>0, '-')
        where u.phase = 2 and u.claim = unhex(value->>2, '-') and u.attempt = value->>1
            and u.worker = value->>3 and u.subject = coalesce(unhex(value->>4, '-'), u.subject)
            and u.type = value->>5 and u.due_at >= ?2"
    };
}

const KEEP_ATTEMPTS_SQLITE: &str = concat!(
    "insert into attempt (id, attempt, worker, started_at, ended_at, due_at)
    select u.id, u.attempt, u.worker, u.started_at, max(?2, u.started_at), u.due_at ",
    held!()
);

const SQLITE: &str = concat!(
    "update unfinished_task
    set phase = 1, ready_at = ?2, due_at = min(?2 + r.start_within_ms * 1000, coalesce(budget_end_at, 9223372036854775807)),
        claim = null, worker = null, instance = null, started_at = null
    from (select t.id, t.start_within_ms from task t where t.id in (select u.id ",
    held!(),
    ")) r
    where unfinished_task.id = r.id
    returning unfinished_task.id, unfinished_task.attempt, 'CREATED' as status, null as reason, 0 as late_us,
        unfinished_task.ready_at"
);

impl Store {
    /// Releases the grants that still run, and returns how their tasks stand.
    pub(crate) async fn release(
        &self,
        released: BTreeMap<GrantKey, ReportedBy<'_>>,
    ) -> Result<Vec<CurrentStatusRow>, DatabaseError> {
        match &self.db {
            Db::Postgres(pools) => Ok(sqlx::query_as(POSTGRES)
                .bind(released.keys().map(|grant| grant.id).collect::<Vec<_>>())
                .bind(released.keys().map(|grant| grant.attempt).collect::<Vec<_>>())
                .bind(released.keys().map(|grant| grant.claim).collect::<Vec<_>>())
                .bind(released.values().map(|by| by.worker.as_str()).collect::<Vec<_>>())
                .bind(released.values().map(|by| by.subject).collect::<Vec<_>>())
                .bind(released.values().map(|by| by.type_name.as_str()).collect::<Vec<_>>())
                .fetch_all(&pools.write)
                .await?),
            Db::Sqlite(pools) => {
                let grants = encode_batch(released.iter().map(|(grant, by)| {
                    (grant.id, grant.attempt, grant.claim, by.worker, by.subject, by.type_name)
                }));
                let release = transaction(&pools.write, &self.clock, move |connection, now| {
                    Box::pin(async move {
                        let keep = sqlx::query(KEEP_ATTEMPTS_SQLITE).bind(&grants).bind(now);
                        keep.execute(&mut *connection).await?;
                        let query = sqlx::query_as(SQLITE).bind(grants).bind(now);
                        Ok(query.fetch_all(connection).await?)
                    })
                });
                release.await
            }
        }
    }
}
