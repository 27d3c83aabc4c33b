//! Workers: their heartbeats, whose a name is, the tasks that a worker must stop, and the list of workers.

use std::collections::BTreeSet;

use database::{DatabaseError, Db, encode_batch, on};
use domain::{
    GrantRef, InstanceId, LiveWorker, StopMeansKind, SubjectId, TaskId, Timestamp, TypeName, WorkerName,
    WorkerProcess,
};
use uuid::Uuid;

use crate::decode::{corrupt, parse_column, row_struct};
use crate::store::Store;

/// The most workers that one account or client may have; lost ones do not count.
pub const MAX_WORKERS_OF_SUBJECT: i64 = 1000;

/// A process keeps its name until it is lost. Another account or client may take the name of a lost worker only when no task
/// that was granted to anybody else under the name still runs. A subject takes no more names than [`MAX_WORKERS_OF_SUBJECT`].
macro_rules! heartbeat {
    (now: $now:literal) => {
        concat!(
            "insert into worker (name, subject, instance, slots, types, stop_means, first_heartbeat_at, last_heartbeat_at)
            select $1, $2, $3, $4, $5, $6, ",
            $now,
            ", ",
            $now,
            "
            where exists (select 1 from worker w where w.name = $1 and w.subject = $2 and not w.is_lost)
                or (select count(*) from worker w where w.subject = $2 and not w.is_lost) < $7
            on conflict (name) do update
            set subject = excluded.subject, instance = excluded.instance, slots = excluded.slots, types = excluded.types,
                stop_means = excluded.stop_means,
                first_heartbeat_at = case when worker.instance = excluded.instance
                    then worker.first_heartbeat_at else excluded.first_heartbeat_at end,
                last_heartbeat_at = excluded.last_heartbeat_at, is_lost = false
            where worker.subject = excluded.subject and (worker.instance = excluded.instance or worker.is_lost)
                or worker.is_lost and not exists (
                    select 1 from unfinished_task u
                    where u.worker = excluded.name and u.phase = 2 and u.subject <> excluded.subject)"
        )
    };
}

const HEARTBEAT_POSTGRES: &str = heartbeat!(now: "(select now_us())");

const HEARTBEAT_SQLITE: &str = heartbeat!(now: "$8");

/// The name of a worker that is not lost.
const NAME_OWNER: &str =
    "select subject, instance, first_heartbeat_at from worker where name = $1 and not is_lost";

const WORKERS_OF_SUBJECT: &str = "select count(*) from worker where subject = $1 and not is_lost";

const FREE_NAME: &str = "
    delete from worker where name = $1 and subject = $2 and instance = $3
        and not exists (select 1 from unfinished_task u where u.worker = $1 and u.phase = 2)";

const STALE_GRANTS_POSTGRES: &str = "
    select g.id, g.attempt from unnest($1::uuid[], $2::integer[]) as g (id, attempt)
    where not exists (
        select 1 from unfinished_task u
        where u.id = g.id and u.phase + 0 = 2 and u.attempt = g.attempt
            and u.worker = $3 and u.subject = $4 and u.instance = $5)";

const STALE_GRANTS_SQLITE: &str = "
    select unhex(value->>0, '-'), value->>1 from json_each(?1)
    where not exists (
        select 1 from unfinished_task u
        where u.id = unhex(value->>0, '-') and u.phase = 2 and u.attempt = value->>1
            and u.worker = ?2 and u.subject = ?3 and u.instance = ?4)";

const LIST_WORKERS: &str =
    "select name, slots, types, stop_means, last_heartbeat_at from worker where not is_lost order by name";

row_struct! {
    struct WorkerRow {
        name: String,
        slots: i32,
        types: String,
        stop_means: String,
        last_heartbeat_at: i64,
    }
}

/// The process to which a worker's name belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameOwner {
    /// The process that sends heartbeats under the name.
    pub process: WorkerProcess,
    /// When its first heartbeat arrived, by the database's clock.
    pub since: Timestamp,
}

impl Store {
    /// Stores a heartbeat of `process` if it has its name, or if the name is free: nobody's, or a lost worker's. `false`: the
    /// name belongs to another process ([`Store::name_owner`]), or the subject has too many names ([`Store::has_max_workers`]), and
    /// nothing has changed.
    pub async fn heartbeat(
        &self,
        process: &WorkerProcess,
        slots: u32,
        types: &[TypeName],
        stop_means: &BTreeSet<StopMeansKind>,
    ) -> Result<bool, DatabaseError> {
        let WorkerProcess { name, subject, instance } = process;
        let slots = i32::try_from(slots).unwrap_or(i32::MAX);
        let (types, stop_means) = (encode_batch(types), encode_batch(stop_means));
        let stored = match &self.db {
            Db::Postgres(pools) => {
                let upsert = sqlx::query(HEARTBEAT_POSTGRES).bind(name.as_str()).bind(subject.0);
                let upsert = upsert
                    .bind(instance.0)
                    .bind(slots)
                    .bind(types)
                    .bind(stop_means)
                    .bind(MAX_WORKERS_OF_SUBJECT);
                upsert.execute(&pools.write).await?.rows_affected()
            }
            Db::Sqlite(pools) => {
                let upsert = sqlx::query(HEARTBEAT_SQLITE).bind(name.as_str()).bind(subject.0);
                let upsert = upsert
                    .bind(instance.0)
                    .bind(slots)
                    .bind(types)
                    .bind(stop_means)
                    .bind(MAX_WORKERS_OF_SUBJECT);
                let upsert = upsert.bind(self.clock.now());
                upsert.execute(&pools.write).await?.rows_affected()
            }
        };
        Ok(stored > 0)
    }

    /// Whether `subject` has as many names of workers as it may have.
    pub async fn has_max_workers(&self, subject: SubjectId) -> Result<bool, DatabaseError> {
        let (workers,): (i64,) = on!(&self.db, write, pool =>
            sqlx::query_as(WORKERS_OF_SUBJECT).bind(subject.0).fetch_one(pool).await)?;
        Ok(workers >= MAX_WORKERS_OF_SUBJECT)
    }

    /// Those of the grants `running` that are not, or no longer, granted to `process`, which must stop them.
    pub async fn grants_to_stop(
        &self,
        process: &WorkerProcess,
        running: &[GrantRef],
    ) -> Result<Vec<GrantRef>, DatabaseError> {
        let WorkerProcess { name, subject, instance } = process;
        let rows: Vec<(Uuid, i32)> = match &self.db {
            Db::Postgres(pools) => {
                sqlx::query_as(STALE_GRANTS_POSTGRES)
                    .bind(running.iter().map(|grant| grant.id.0).collect::<Vec<_>>())
                    .bind(running.iter().map(|grant| grant.attempt.cast_signed()).collect::<Vec<_>>())
                    .bind(name.as_str())
                    .bind(subject.0)
                    .bind(instance.0)
                    .fetch_all(&pools.read)
                    .await?
            }
            Db::Sqlite(pools) => {
                let running = encode_batch(running.iter().map(|grant| (grant.id, grant.attempt)));
                let query = sqlx::query_as(STALE_GRANTS_SQLITE).bind(running).bind(name.as_str());
                query.bind(subject.0).bind(instance.0).fetch_all(&pools.read).await?
            }
        };
        Ok(rows
            .into_iter()
            .map(|(id, attempt)| GrantRef { id: TaskId(id), attempt: attempt.cast_unsigned() })
            .collect())
    }

    /// The process to which `name` belongs; `None` if no worker that is not lost has sent a heartbeat under it.
    pub async fn name_owner(&self, name: &WorkerName) -> Result<Option<NameOwner>, DatabaseError> {
        let row: Option<(Uuid, Uuid, i64)> = on!(&self.db, read, pool =>
            sqlx::query_as(NAME_OWNER).bind(name.as_str()).fetch_optional(pool).await)?;
        Ok(row.map(|(subject, instance, since)| NameOwner {
            process: WorkerProcess {
                name: name.clone(),
                subject: SubjectId(subject),
                instance: InstanceId(instance),
            },
            since: Timestamp(since),
        }))
    }

    /// Frees the name of `process`, which stops, unless a task still runs under it: then the worker is lost some time later,
    /// and the task with it.
    pub async fn unregister(&self, process: &WorkerProcess) -> Result<(), DatabaseError> {
        let WorkerProcess { name, subject, instance } = process;
        on!(&self.db, write, pool => sqlx::query(FREE_NAME)
            .bind(name.as_str()).bind(subject.0).bind(instance.0).execute(pool).await.map(drop))?;
        Ok(())
    }

    /// The live workers, that is, those that are not lost, by name. Fails also on a row that cannot be read.
    pub async fn workers(&self) -> Result<Vec<LiveWorker>, DatabaseError> {
        let rows: Vec<WorkerRow> =
            on!(&self.db, read, pool => sqlx::query_as(LIST_WORKERS).fetch_all(pool).await)?;
        rows.iter().map(decode_worker).collect()
    }
}

fn decode_worker(row: &WorkerRow) -> Result<LiveWorker, DatabaseError> {
    let unreadable = |error| corrupt("worker", &row.name, error);
    Ok(LiveWorker {
        name: parse_column("worker", &row.name, &row.name)?,
        slots: row.slots.cast_unsigned(),
        types: serde_json::from_str(&row.types).map_err(unreadable)?,
        stop_means: serde_json::from_str(&row.stop_means).map_err(unreadable)?,
        seen_date: Timestamp(row.last_heartbeat_at),
    })
}
