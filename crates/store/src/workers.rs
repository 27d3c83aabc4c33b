//! Workers at rest: who has sent a heartbeat, what it runs, and what it must stop.

use domain::{GrantRef, Heartbeat, LiveWorker, TaskId, Timestamp};
use uuid::Uuid;

use crate::store::{Store, parse_column};
use database::DatabaseError;
use database::Db;
use database::batch;
use database::on;

const HEARTBEAT_POSTGRES: &str = "
    insert into worker (name, slots, types, seen) values ($1, $2, $3, (select now_us()))
    on conflict (name) do update set slots = excluded.slots, types = excluded.types, seen = excluded.seen";

const HEARTBEAT_SQLITE: &str = "
    insert into worker (name, slots, types, seen) values (?1, ?2, ?3, ?4)
    on conflict (name) do update set slots = excluded.slots, types = excluded.types, seen = excluded.seen";

const STOP_POSTGRES: &str = "
    select g.id, g.attempt from unnest($1::uuid[], $2::integer[]) as g (id, attempt)
    where not exists (
        select 1 from live l where l.id = g.id and l.phase + 0 = 2 and l.attempt = g.attempt and l.worker = $3)";

const STOP_SQLITE: &str = "
    select unhex(value->>0, '-'), value->>1 from json_each(?1)
    where not exists (
        select 1 from live l
        where l.id = unhex(value->>0, '-') and l.phase = 2 and l.attempt = value->>1 and l.worker = ?2)";

const ALL: &str = "select name, slots, types, seen from worker order by name";

impl Store {
    /// Keeps a worker's sign of life; answers with what it runs but does not hold any more.
    pub async fn heartbeat(&self, beat: &Heartbeat) -> Result<Vec<GrantRef>, DatabaseError> {
        let types = batch(&beat.types);
        let slots = i32::try_from(beat.slots).unwrap_or(i32::MAX);
        let rows: Vec<(Uuid, i32)> = match &self.db {
            Db::Postgres(pools) => {
                let name = beat.worker.as_str();
                let heard = sqlx::query(HEARTBEAT_POSTGRES).bind(name).bind(slots).bind(types);
                heard.execute(&pools.write).await?;
                sqlx::query_as(STOP_POSTGRES)
                    .bind(beat.running.iter().map(|held| held.id.0).collect::<Vec<_>>())
                    .bind(beat.running.iter().map(|held| held.attempt.cast_signed()).collect::<Vec<_>>())
                    .bind(name)
                    .fetch_all(&pools.read)
                    .await?
            }
            Db::Sqlite(pools) => {
                let name = beat.worker.as_str();
                let heard = sqlx::query(HEARTBEAT_SQLITE).bind(name).bind(slots).bind(types);
                heard.bind(self.clock.now()).execute(&pools.write).await?;
                let running = batch(beat.running.iter().map(|held| (held.id, held.attempt)));
                sqlx::query_as(STOP_SQLITE).bind(running).bind(name).fetch_all(&pools.read).await?
            }
        };
        Ok(rows
            .into_iter()
            .map(|(id, attempt)| GrantRef { id: TaskId(id), attempt: attempt.cast_unsigned() })
            .collect())
    }

    /// The workers that live, by name.
    pub async fn workers(&self) -> Result<Vec<LiveWorker>, DatabaseError> {
        let rows: Vec<(String, i32, String, i64)> =
            on!(&self.db, read, pool => sqlx::query_as(ALL).fetch_all(pool).await)?;
        rows.into_iter().map(worker).collect()
    }
}

fn worker((name, slots, types, seen): (String, i32, String, i64)) -> Result<LiveWorker, DatabaseError> {
    let types = serde_json::from_str(&types).map_err(|error| DatabaseError::Corrupt {
        table: "worker",
        row: Uuid::nil(),
        what: error.to_string(),
    })?;
    Ok(LiveWorker {
        name: parse_column("worker", Uuid::nil(), &name)?,
        slots: slots.cast_unsigned(),
        types,
        seen_date: Timestamp(seen),
    })
}
