//! Workers: their heartbeats, the tasks that a heartbeat shows they must stop, and the list of workers.

use database::{DatabaseError, Db, encode_batch, on};
use domain::{GrantRef, Heartbeat, LiveWorker, TaskId, Timestamp};
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};
use crate::store::Store;

const HEARTBEAT_POSTGRES: &str = "
    insert into worker (name, slots, types, last_heartbeat_at) values ($1, $2, $3, (select now_us()))
    on conflict (name) do update
    set slots = excluded.slots, types = excluded.types, last_heartbeat_at = excluded.last_heartbeat_at";

const HEARTBEAT_SQLITE: &str = "
    insert into worker (name, slots, types, last_heartbeat_at) values (?1, ?2, ?3, ?4)
    on conflict (name) do update
    set slots = excluded.slots, types = excluded.types, last_heartbeat_at = excluded.last_heartbeat_at";

const STALE_GRANTS_POSTGRES: &str = "
    select g.id, g.attempt from unnest($1::uuid[], $2::integer[]) as g (id, attempt)
    where not exists (
        select 1 from unfinished_task u
        where u.id = g.id and u.phase + 0 = 2 and u.attempt = g.attempt and u.worker = $3)";

const STALE_GRANTS_SQLITE: &str = "
    select unhex(value->>0, '-'), value->>1 from json_each(?1)
    where not exists (
        select 1 from unfinished_task u
        where u.id = unhex(value->>0, '-') and u.phase = 2 and u.attempt = value->>1 and u.worker = ?2)";

const ALL: &str = "select name, slots, types, last_heartbeat_at from worker order by name";

row_struct! {
    struct WorkerRow {
        name: String,
        slots: i32,
        types: String,
        last_heartbeat_at: i64,
    }
}

impl Store {
    /// Stores a worker's heartbeat. Returns those of its running grants that are no longer granted to it, which it must stop.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<Vec<GrantRef>, DatabaseError> {
        let types = encode_batch(&heartbeat.types);
        let slots = i32::try_from(heartbeat.slots).unwrap_or(i32::MAX);
        let name = heartbeat.worker.as_str();
        let running = &heartbeat.running;
        let rows: Vec<(Uuid, i32)> = match &self.db {
            Db::Postgres(pools) => {
                let upsert = sqlx::query(HEARTBEAT_POSTGRES).bind(name).bind(slots).bind(types);
                upsert.execute(&pools.write).await?;
                sqlx::query_as(STALE_GRANTS_POSTGRES)
                    .bind(running.iter().map(|grant| grant.id.0).collect::<Vec<_>>())
                    .bind(running.iter().map(|grant| grant.attempt.cast_signed()).collect::<Vec<_>>())
                    .bind(name)
                    .fetch_all(&pools.read)
                    .await?
            }
            Db::Sqlite(pools) => {
                let upsert = sqlx::query(HEARTBEAT_SQLITE).bind(name).bind(slots).bind(types);
                upsert.bind(self.clock.now()).execute(&pools.write).await?;
                let running = encode_batch(running.iter().map(|grant| (grant.id, grant.attempt)));
                sqlx::query_as(STALE_GRANTS_SQLITE).bind(running).bind(name).fetch_all(&pools.read).await?
            }
        };
        Ok(rows
            .into_iter()
            .map(|(id, attempt)| GrantRef { id: TaskId(id), attempt: attempt.cast_unsigned() })
            .collect())
    }

    /// The workers whose heartbeats are stored, by name. Fails also on a row that cannot be read.
    pub async fn workers(&self) -> Result<Vec<LiveWorker>, DatabaseError> {
        let rows: Vec<WorkerRow> = on!(&self.db, read, pool => sqlx::query_as(ALL).fetch_all(pool).await)?;
        rows.iter().map(worker).collect()
    }
}

fn worker(row: &WorkerRow) -> Result<LiveWorker, DatabaseError> {
    let types = serde_json::from_str(&row.types).map_err(|error| corrupt("worker", &row.name, error))?;
    Ok(LiveWorker {
        name: parse_column("worker", &row.name, &row.name)?,
        slots: row.slots.cast_unsigned(),
        types,
        seen_date: Timestamp(row.last_heartbeat_at),
    })
}
