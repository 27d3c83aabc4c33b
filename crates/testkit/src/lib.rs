//! What tests of every crate share: a database of their own, on both kinds, and a Kafka.

mod authority;
mod kafka;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use database::Db;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

pub use authority::{Authority, Signed};
pub use kafka::{Doors, KAFKA, OwnKafka, kafka_doors, kafka_server, own_prefix};

/// The variable that names a PostgreSQL server on which a test may create databases; `make test` sets it.
pub const POSTGRES: &str = "TASKER_TEST_POSTGRES";

/// The variable that names the certificate of whoever signed that server's; `make test` sets it too.
pub const POSTGRES_CA: &str = "TASKER_TEST_POSTGRES_CA";

/// An empty database for one test.
#[derive(Debug)]
pub struct Scratch {
    /// How to open it.
    pub url: String,
    /// The file's directory, gone with the test.
    directory: Option<TempDir>,
}

impl Scratch {
    /// A new SQLite file in a directory of its own.
    pub fn sqlite() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("tasker.db");
        Self { url: format!("sqlite:{}", path.display()), directory: Some(directory) }
    }

    /// A new database on the test server. Without a server this fails: a missing service is no reason to skip.
    pub async fn postgres() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = postgres_server();
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await.expect("the test server answers");
        let drop_stale = format!("drop database if exists {name}");
        let create = format!("create database {name}");
        admin.execute(sqlx::AssertSqlSafe(drop_stale)).await.expect("may drop databases");
        admin.execute(sqlx::AssertSqlSafe(create)).await.expect("may create databases");
        let (base, _) = server.rsplit_once('/').expect("the server's address ends in a database");
        Self { url: format!("{base}/{name}"), directory: None }
    }

    /// Opens it.
    pub fn open(&self) -> Db {
        Db::open(&self.url).expect("our own address")
    }

    /// The directory of a SQLite file.
    pub fn directory(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.path().to_owned())
    }
}

/// The test server's address.
pub fn postgres_server() -> String {
    variable(POSTGRES)
}

/// The file with the certificate of whoever signed the test server's.
pub fn postgres_ca() -> PathBuf {
    variable(POSTGRES_CA).into()
}

/// What `make test` says of its servers.
#[expect(clippy::disallowed_methods, reason = "tests are told where their servers are")]
fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run `make test`, which starts the servers"))
}
