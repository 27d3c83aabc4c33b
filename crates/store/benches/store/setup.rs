//! The setup of a measurement: a new database with a backlog, its write-ahead log, and a snapshot that another transaction holds.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use database::{Db, ProcessClock};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use store::Store;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::cases::DatabaseKind;
use crate::sample_task::sample_submission;

/// A database that is dropped after the measurement.
pub(crate) struct Setup {
    pub(crate) store: Store,
    /// The process id of the database server; `None` for SQLite.
    pub(crate) postmaster: Option<u32>,
    db: Db,
    url: String,
    directory: TempDir,
}

/// A transaction that holds a snapshot until it is dropped.
#[expect(dead_code, reason = "the connection is kept open and not used")]
pub(crate) enum Snapshot {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

#[expect(clippy::disallowed_methods, reason = "the environment names the server of a measurement")]
fn server() -> String {
    std::env::var("TASKER_BENCH_POSTGRES")
        .or_else(|_| std::env::var("TASKER_TEST_POSTGRES"))
        .expect("TASKER_BENCH_POSTGRES names a PostgreSQL server")
}

impl Setup {
    /// Creates a database with `waiting` waiting tasks.
    pub(crate) async fn create(kind: DatabaseKind, waiting: usize) -> Self {
        let directory = TempDir::new().unwrap();
        let (url, postmaster) = match kind {
            DatabaseKind::Sqlite => {
                (format!("sqlite:{}", directory.path().join("tasker.db").display()), None)
            }
            DatabaseKind::Postgres => {
                let server = server();
                let name = format!("tasker_bench_{}", std::process::id());
                let mut admin = PgConnection::connect(&server).await.unwrap();
                let drop = format!("drop database if exists {name} with (force)");
                admin.execute(AssertSqlSafe(drop)).await.unwrap();
                admin.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
                let (backend,): (i32,) =
                    sqlx::query_as("select pg_backend_pid()").fetch_one(&mut admin).await.unwrap();
                let (base, _) = server.rsplit_once('/').unwrap();
                (format!("{base}/{name}"), crate::host_usage::parent(backend.cast_unsigned()))
            }
        };
        let db = Db::open(&url).unwrap();
        let store = Store::new(db.clone(), ProcessClock::default());
        store.migrate().await.unwrap();
        let setup = Self { store, postmaster, db, url, directory };
        setup.fill(waiting).await;
        setup
    }

    async fn fill(&self, waiting: usize) {
        let mut fillers = JoinSet::new();
        for _ in 0..3 {
            let store = self.store.clone();
            fillers.spawn(async move {
                for _ in 0..waiting / 3000 {
                    let batch: Vec<_> = (0..1000).map(|_| sample_submission(&store)).collect();
                    store.submit(&batch).await.unwrap();
                }
            });
        }
        fillers.join_all().await;
        if waiting > 0 {
            self.vacuum().await;
        }
    }

    /// Does what a quiet moment would allow: removes dead rows and writes the log back.
    pub(crate) async fn vacuum(&self) {
        match &self.db {
            Db::Postgres(_) => {
                let mut admin = PgConnection::connect(&self.url).await.unwrap();
                admin.execute("vacuum unfinished_task").await.unwrap();
                admin.execute("checkpoint").await.unwrap();
            }
            Db::Sqlite(pools) => drop(pools.write.execute("pragma wal_checkpoint(truncate)").await.unwrap()),
        }
    }

    /// Closes and drops the database.
    pub(crate) async fn remove(self) {
        self.db.close().await;
        if self.postmaster.is_some() {
            let (_, name) = self.url.rsplit_once('/').unwrap();
            let mut admin = PgConnection::connect(&server()).await.unwrap();
            admin.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await.unwrap();
        }
    }

    /// Begins a transaction that holds a snapshot of this moment.
    pub(crate) async fn hold_snapshot(&self) -> Snapshot {
        if self.postmaster.is_some() {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            connection
                .execute("begin isolation level repeatable read; select 1 from task limit 1")
                .await
                .unwrap();
            return Snapshot::Postgres(connection);
        }
        let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
        connection.execute("begin; select 1 from task limit 1").await.unwrap();
        Snapshot::Sqlite(connection)
    }

    /// Bytes of write-ahead log so far. For SQLite, whose log starts again at each checkpoint, the bytes that this process has
    /// written.
    pub(crate) async fn wal(&self) -> u64 {
        match &self.db {
            Db::Postgres(pools) => {
                let query = "select (pg_current_wal_lsn() - '0/0')::bigint";
                let (bytes,): (i64,) = sqlx::query_as(query).fetch_one(&pools.read).await.unwrap();
                bytes.cast_unsigned()
            }
            Db::Sqlite(_) => crate::host_usage::written(),
        }
    }

    /// How long the disk takes to sync 8 KiB: the median of 31 attempts, in milliseconds.
    pub(crate) fn fdatasync(&self) -> f64 {
        let path: PathBuf = self.directory.path().join("probe");
        let mut file = File::create(&path).unwrap();
        let mut times: Vec<f64> = (0..31)
            .map(|_| {
                let began = Instant::now();
                file.write_all(&[7; 8192]).unwrap();
                file.sync_data().unwrap();
                began.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    }
}
