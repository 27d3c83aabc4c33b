//! Samples for metrics: how many tasks wait and run, and the state of the table that holds them. Ended tasks are not read.

use std::time::Duration;

use database::{DatabaseError, Db, on};
use domain::TypeName;

use crate::decode::{parse_column, row_struct};
use crate::store::Store;

const TYPE_LOADS: &str = "
    select type as name,
        sum(case when phase = 1 then 1 else 0 end) as ready,
        sum(case when phase = 2 then 1 else 0 end) as running,
        min(case when phase = 1 then ready_at end) as oldest_ready_at
    from unfinished_task group by type order by type";

const UNFINISHED_TABLE_HEALTH: &str = "
    select s.n_dead_tup::bigint,
        coalesce((
            select (extract(epoch from max(clock_timestamp() - xact_start)) * 1000000)::bigint
            from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid()), 0)
    from pg_stat_user_tables s where s.relid = 'unfinished_task'::regclass";

row_struct! {
    struct TypeLoadRow {
        name: String,
        ready: i64,
        running: i64,
        oldest_ready_at: Option<i64>,
    }
}

/// How many tasks of a type have not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeLoad {
    /// The type of the tasks.
    pub name: TypeName,
    /// How many tasks wait for a worker.
    pub ready: u64,
    /// How many tasks run.
    pub running: u64,
    /// How long the oldest waiting task has been ready; zero if none waits.
    pub oldest: Duration,
}

/// The state of the database.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// The database's clock minus this machine's, in seconds.
    pub clock_offset: f64,
    /// The state of the table of unfinished tasks; PostgreSQL only.
    pub table: Option<UnfinishedTableHealth>,
}

/// The state of the table of unfinished tasks, whose rows are inserted, updated and deleted all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedTableHealth {
    /// Dead rows that vacuum has not removed yet.
    pub dead_rows: u64,
    /// Age of the oldest snapshot, which prevents the removal of the rows that died since.
    pub oldest_snapshot: Duration,
}

impl Store {
    /// How many tasks of each type have not ended, by type. It reads every unfinished task, so call it every few seconds at
    /// most.
    pub async fn type_loads(&self) -> Result<Vec<TypeLoad>, DatabaseError> {
        let rows: Vec<TypeLoadRow> =
            on!(&self.db, read, pool => sqlx::query_as(TYPE_LOADS).fetch_all(pool).await)?;
        let now = self.now().0;
        let type_load = |row: TypeLoadRow| {
            let waited = row.oldest_ready_at.map_or(0, |ready_at| now.saturating_sub(ready_at));
            Ok(TypeLoad {
                name: parse_column("unfinished_task", format_args!("of type {:?}", row.name), &row.name)?,
                ready: row.ready.cast_unsigned(),
                running: row.running.cast_unsigned(),
                oldest: Duration::from_micros(u64::try_from(waited).unwrap_or(0)),
            })
        };
        rows.into_iter().map(type_load).collect()
    }

    /// The state of the database, from its statistics.
    pub async fn health(&self) -> Result<Health, DatabaseError> {
        let clock_offset = self.clock_offset_seconds();
        let Db::Postgres(pools) = &self.db else { return Ok(Health { clock_offset, table: None }) };
        let row: Option<(i64, i64)> =
            sqlx::query_as(UNFINISHED_TABLE_HEALTH).fetch_optional(&pools.read).await?;
        let table = row.map(|(dead, oldest)| UnfinishedTableHealth {
            dead_rows: dead.cast_unsigned(),
            oldest_snapshot: Duration::from_micros(u64::try_from(oldest).unwrap_or(0)),
        });
        Ok(Health { clock_offset, table })
    }
}
