//! The store: an open database of tasks, the clock that it follows, and the ids that it issues.

use parking_lot::Mutex;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use database::{DatabaseError, Db, Migration, ProcessClock, SchemaPart, WriteCheck, on};
use domain::{InstallationId, TaskId, Timestamp};
use uuid::{ContextV7, Uuid};

use crate::priorities_in_use::PrioritiesInUse;
use crate::scan_floor::Floors;

/// The tables of tasks, catalogue and workers.
pub const TASKS_SCHEMA: SchemaPart = SchemaPart {
    name: "tasks",
    steps: &[Migration {
        postgres: include_str!("../migrations/postgres/0001_tasks.sql"),
        sqlite: include_str!("../migrations/sqlite/0001_tasks.sql"),
        oldest: 1,
    }],
    tables: "task, unfinished_task, outcome",
};

/// The database of tasks. Cheap to clone: clones share connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) db: Db,
    /// The time on SQLite; on PostgreSQL the statements call `now_us()`.
    pub(crate) clock: ProcessClock,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// PostgreSQL's clock minus the monotonic clock of this process, in microseconds, when it was last read. The wall clock of
    /// this machine may be set meanwhile, and that must not move a floor.
    server_clock_offset: AtomicI64,
    id_counter: Mutex<ContextV7>,
    /// The versions of operations whose unreadable definitions have been logged.
    unreadable: Mutex<HashSet<(String, i32)>>,
    floors: Floors,
    priorities: PrioritiesInUse,
    write_check: WriteCheck,
}

impl Store {
    /// A store on `db`, whose tables are left as they are: call [`Store::migrate`] next. `clock` is the time on SQLite.
    pub fn new(db: Db, clock: ProcessClock) -> Self {
        let shared = Shared {
            server_clock_offset: AtomicI64::new(clock.now() - clock.monotonic_micros()),
            id_counter: Mutex::new(ContextV7::new()),
            unreadable: Mutex::default(),
            floors: Floors::default(),
            priorities: PrioritiesInUse::default(),
            write_check: WriteCheck::new(db.clone(), TASKS_SCHEMA),
        };
        Self { db, clock, shared: Arc::new(shared) }
    }

    /// Brings the tables to this binary's version and reads the database's clock. Fails if the database is unreachable or a
    /// newer Tasker has changed the schema so that this version may not use it.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        TASKS_SCHEMA.migrate(&self.db).await?;
        self.read_database_clock().await
    }

    /// The id of the installation to which the database belongs.
    pub async fn installation(&self) -> Result<InstallationId, DatabaseError> {
        let (id,): (Uuid,) = on!(&self.db, read, pool =>
            sqlx::query_as("select id from installation").fetch_one(pool).await)?;
        Ok(InstallationId(id))
    }

    /// Writes a row of the check's own; fails with the reason why tasks cannot be written or read at the moment. An answer
    /// counts for a second.
    pub async fn check_writes(&self) -> Result<(), Arc<DatabaseError>> {
        self.shared.write_check.run().await
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// An estimate of the database's time from [`Store::read_database_clock`]: good for ids and durations, not for deciding whether a
    /// deadline has passed, which only statements do.
    pub fn now(&self) -> Timestamp {
        Timestamp(match self.db {
            Db::Postgres(_) => self
                .clock
                .monotonic_micros()
                .saturating_add(self.shared.server_clock_offset.load(Ordering::Relaxed)),
            Db::Sqlite(_) => self.clock.now(),
        })
    }

    /// The database's clock minus the machine's, in seconds.
    pub(crate) fn clock_offset_seconds(&self) -> f64 {
        let micros = self.now().0.saturating_sub(self.clock.now());
        Duration::from_micros(micros.unsigned_abs()).as_secs_f64() * if micros < 0 { -1.0 } else { 1.0 }
    }

    /// A new id: a UUID of version 7 by the database's clock, greater than all that this process has issued.
    pub fn new_task_id(&self) -> TaskId {
        let now = self.now().0.max(0).cast_unsigned();
        let nanos = u32::try_from(now % 1_000_000 * 1000).expect("less than a second");
        let counter = self.shared.id_counter.lock();
        TaskId(Uuid::new_v7(uuid::Timestamp::from_unix(&*counter, now / 1_000_000, nanos)))
    }

    /// Reads PostgreSQL's clock for [`Store::now`]. On SQLite there is nothing to read: its clock is this process's own.
    pub async fn read_database_clock(&self) -> Result<(), DatabaseError> {
        if let Db::Postgres(pools) = &self.db {
            let (server,): (i64,) = sqlx::query_as("select now_us()").fetch_one(&pools.read).await?;
            self.shared.server_clock_offset.store(server - self.clock.monotonic_micros(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether this is the first time that this version of the operation `name` is found unreadable.
    pub(crate) fn first_time_unreadable(&self, name: &str, version: i32) -> bool {
        self.shared.unreadable.lock().insert((name.to_owned(), version))
    }

    /// The priorities of ready tasks.
    pub(crate) fn priorities(&self) -> &PrioritiesInUse {
        &self.shared.priorities
    }

    /// Where index scans start.
    pub(crate) fn floors(&self) -> &Floors {
        &self.shared.floors
    }
}
