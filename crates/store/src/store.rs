//! The store itself: an open database, the clock that it follows, and the ids it mints.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Attempt, QueueName, Reason, TaskId, Timestamp, TypeName};
use uuid::{ContextV7, Uuid};

use crate::scan_floor::Floors;
use database::Clock;
use database::DatabaseError;
use database::Db;
use database::{Migration, SchemaPart};

/// The tables of tasks, catalogue and workers.
pub const TASKS: SchemaPart = SchemaPart {
    name: "tasks",
    steps: &[
        Migration {
            postgres: include_str!("../migrations/postgres/0001_tasks.sql"),
            sqlite: include_str!("../migrations/sqlite/0001_tasks.sql"),
            oldest: 1,
        },
        Migration {
            postgres: include_str!("../migrations/postgres/0002_claim_is_free.sql"),
            sqlite: include_str!("../migrations/sqlite/0002_claim_is_free.sql"),
            oldest: 1,
        },
        Migration {
            postgres: include_str!("../migrations/postgres/0003_trace.sql"),
            sqlite: include_str!("../migrations/sqlite/0003_trace.sql"),
            oldest: 1,
        },
    ],
};

/// Tasks at rest. Cheap to clone: the clones share connections.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) db: Db,
    /// What time it is for SQLite; PostgreSQL asks its own `now_us()`.
    pub(crate) clock: Clock,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// How far PostgreSQL's clock is ahead of our steady one, in microseconds, when it was last seen. Our wall clock may
    /// be set by somebody meanwhile, and that must not move a floor.
    ahead: AtomicI64,
    minted: Mutex<ContextV7>,
    /// The versions of operations that were found unreadable.
    unreadable: Mutex<HashSet<(String, i32)>>,
    floors: Floors,
}

/// A task that a verb has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTask {
    /// Which task.
    pub id: TaskId,
    /// The grant that it ended, 0 if it never had one.
    pub attempt: Attempt,
    /// Why; `None` means that it finished.
    pub reason: Option<Reason>,
    /// When, by the database's clock.
    pub ended: Timestamp,
    /// How long after the deadline (or the end of `startWithin`), in microseconds; negative: before it.
    pub late: i64,
}

/// A task that is ready and nobody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyTask {
    /// Which task.
    pub id: TaskId,
    /// Its operation.
    pub name: TypeName,
    /// Its queue.
    pub queue: QueueName,
    /// The fence of its last grant.
    pub attempt: Attempt,
    /// When it became ready.
    pub since: Timestamp,
}

impl Store {
    /// Takes a database as it is; [`Store::migrate`] comes next.
    pub fn new(db: Db, clock: Clock) -> Self {
        let shared = Shared {
            ahead: AtomicI64::new(clock.now() - clock.steady()),
            minted: Mutex::new(ContextV7::new()),
            unreadable: Mutex::default(),
            floors: Floors::default(),
        };
        Self { db, clock, shared: Arc::new(shared) }
    }

    /// Brings the tables to this binary's version and learns the database's clock.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        TASKS.migrate(&self.db).await?;
        self.learn_clock().await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        self.db.ping().await
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.db.close().await;
    }

    /// The database's time as last learnt: good for ids and for durations, never for a verdict.
    pub fn now(&self) -> Timestamp {
        Timestamp(match self.db {
            Db::Postgres(_) => self.clock.steady().saturating_add(self.shared.ahead.load(Ordering::Relaxed)),
            Db::Sqlite(_) => self.clock.now(),
        })
    }

    /// The database's clock less the machine's, in seconds.
    pub(crate) fn clock_offset_seconds(&self) -> f64 {
        let micros = self.now().0.saturating_sub(self.clock.now());
        Duration::from_micros(micros.unsigned_abs()).as_secs_f64() * if micros < 0 { -1.0 } else { 1.0 }
    }

    /// A new id, greater than all that this process minted before.
    pub fn new_task_id(&self) -> TaskId {
        let now = self.now().0.max(0).cast_unsigned();
        let nanos = u32::try_from(now % 1_000_000 * 1000).expect("less than a second");
        let minted = self.shared.minted.lock().expect("minting does not panic");
        TaskId(Uuid::new_v7(uuid::Timestamp::from_unix(&*minted, now / 1_000_000, nanos)))
    }

    /// Asks the database what time it is. SQLite's is the process's own.
    pub async fn learn_clock(&self) -> Result<(), DatabaseError> {
        if let Db::Postgres(pools) = &self.db {
            let (theirs,): (i64,) = sqlx::query_as("select now_us()").fetch_one(&pools.read).await?;
            self.shared.ahead.store(theirs - self.clock.steady(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Whether it is the first time that this version of `name` is found unreadable.
    pub(crate) fn first_time_unreadable(&self, name: &str, version: i32) -> bool {
        let mut unreadable = self.shared.unreadable.lock().expect("no panic while it is held");
        unreadable.insert((name.to_owned(), version))
    }

    pub(crate) fn floors(&self) -> &Floors {
        &self.shared.floors
    }
}

/// What a row says that a verb has just ended: id, attempt, reason, ended, lateness.
pub(crate) type EndedRow = (Uuid, i32, Option<String>, i64, i64);

pub(crate) fn ended(row: EndedRow) -> Result<EndedTask, DatabaseError> {
    let (id, attempt, reason, ended, late) = row;
    Ok(EndedTask {
        id: TaskId(id),
        attempt: attempt.cast_unsigned(),
        reason: reason.map(|word| parse_column("outcome", id, &word)).transpose()?,
        ended: Timestamp(ended),
        late,
    })
}

/// Reads a stored word; a word that is not ours makes the row corrupt.
pub(crate) fn parse_column<T: std::str::FromStr>(
    table: &'static str,
    row: Uuid,
    word: &str,
) -> Result<T, DatabaseError> {
    word.parse().map_err(|_| DatabaseError::Corrupt {
        table,
        row,
        what: format!("{word:?} is no word of ours"),
    })
}
