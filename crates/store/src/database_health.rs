//! Samples: how much waits and runs, and how the database bears it. None of them reads what has ended.

use std::time::Duration;

use domain::TypeName;

use crate::store::{Store, parse_column};
use database::DatabaseError;
use database::Db;
use database::on;

/// One text for both databases.
const DEPTHS: &str = "
    select type, sum(case when phase = 1 then 1 else 0 end), sum(case when phase = 2 then 1 else 0 end),
        min(case when phase = 1 then place end)
    from live group by type order by type";

const TABLE: &str = "
    select s.n_dead_tup::bigint,
        coalesce((
            select (extract(epoch from max(clock_timestamp() - xact_start)) * 1000000)::bigint
            from pg_stat_activity where backend_xmin is not null and pid <> pg_backend_pid()), 0)
    from pg_stat_user_tables s where s.relid = 'live'::regclass";

/// How much of a type is unfinished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Which type.
    pub name: TypeName,
    /// How many wait for a worker.
    pub ready: u64,
    /// How many run.
    pub running: u64,
    /// How long the oldest has been ready; nothing if none is.
    pub oldest: Duration,
}

/// How the database bears it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Health {
    /// The database's clock less ours, in seconds.
    pub clock_offset: f64,
    /// How its table of unfinished tasks fares; PostgreSQL only.
    pub table: Option<UnfinishedTableHealth>,
}

/// The table of unfinished tasks, whose rows come and go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnfinishedTableHealth {
    /// Rows that are dead and not yet cleared away.
    pub dead_rows: u64,
    /// Age of the oldest snapshot that keeps them from that.
    pub oldest_snapshot: Duration,
}

impl Store {
    /// How much of each type is unfinished. It reads what is unfinished, so call it now and then.
    pub async fn queue_depths(&self) -> Result<Vec<QueueDepth>, DatabaseError> {
        let rows: Vec<(String, i64, i64, Option<i64>)> =
            on!(&self.db, read, pool => sqlx::query_as(DEPTHS).fetch_all(pool).await)?;
        let now = self.now().0;
        let depth = |(name, ready, running, oldest): (String, i64, i64, Option<i64>)| {
            let waited = oldest.map_or(0, |place| now.saturating_sub(place));
            Ok(QueueDepth {
                name: parse_column("live", uuid::Uuid::nil(), &name)?,
                ready: ready.cast_unsigned(),
                running: running.cast_unsigned(),
                oldest: Duration::from_micros(u64::try_from(waited).unwrap_or(0)),
            })
        };
        rows.into_iter().map(depth).collect()
    }

    /// How the database bears it.
    pub async fn health(&self) -> Result<Health, DatabaseError> {
        let clock_offset = self.clock_offset_seconds();
        let Db::Postgres(pools) = &self.db else { return Ok(Health { clock_offset, table: None }) };
        let row: Option<(i64, i64)> = sqlx::query_as(TABLE).fetch_optional(&pools.read).await?;
        let table = row.map(|(dead, oldest)| UnfinishedTableHealth {
            dead_rows: dead.cast_unsigned(),
            oldest_snapshot: Duration::from_micros(u64::try_from(oldest).unwrap_or(0)),
        });
        Ok(Health { clock_offset, table })
    }
}
