//! An empty database for one test, as a SQLite file or on the PostgreSQL server of `make test`.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use database::Db;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

use crate::environment::variable;

/// The variable with the URL of a PostgreSQL server on which a test may create databases.
const POSTGRES: &str = "TASKER_TEST_POSTGRES";

/// The variable with the path of the CA certificate that signed the PostgreSQL server's certificate.
const POSTGRES_CA: &str = "TASKER_TEST_POSTGRES_CA";

/// An empty database for one test, deleted when this value is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    /// The URL to open the database with: `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// The directory of a SQLite file, which is removed when this value is dropped.
    directory: Option<TempDir>,
}

impl TestDatabase {
    /// A new SQLite file in a temporary directory of its own.
    pub fn sqlite() -> Self {
        let directory = TempDir::new().expect("a temporary directory can be created");
        let path = directory.path().join("tasker.db");
        Self { url: format!("sqlite:{}", path.display()), directory: Some(directory) }
    }

    /// A new database on the test server. Panics without a server: a missing service is no reason to skip a test.
    pub async fn postgres() -> Self {
        Self::postgres_with("").await
    }

    /// [`TestDatabase::postgres`] with `options` of `create database`, such as `encoding 'LATIN1' template template0`.
    pub async fn postgres_with(options: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = postgres_url();
        let name = format!("test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut admin = PgConnection::connect(&server).await.expect("the PostgreSQL test server answers");
        // An earlier process with the same id may have left a database of this name behind.
        let drop_stale = format!("drop database if exists {name}");
        let create = format!("create database {name} {options}");
        admin.execute(sqlx::AssertSqlSafe(drop_stale)).await.expect("the test user may drop databases");
        admin.execute(sqlx::AssertSqlSafe(create)).await.expect("the test user may create databases");
        let (base, _) = server.rsplit_once('/').expect("the server's URL ends in the name of a database");
        Self { url: format!("{base}/{name}"), directory: None }
    }

    /// Executes statements on a PostgreSQL database, on a connection of their own. Panics if one fails.
    pub async fn execute_on_postgres(&self, statements: &str) {
        let mut connection =
            PgConnection::connect(&self.url).await.expect("the PostgreSQL test server answers");
        let statements = sqlx::AssertSqlSafe(statements.to_owned());
        sqlx::raw_sql(statements).execute(&mut connection).await.expect("the statements are valid");
    }

    /// Opens the connection pools of the database. Panics when the URL is not valid.
    pub fn open(&self) -> Db {
        Db::open(&self.url).expect("the URL of a test database is valid")
    }

    /// The directory of a SQLite file; none for PostgreSQL.
    pub fn directory(&self) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.path().to_owned())
    }
}

impl Drop for TestDatabase {
    /// Removes a PostgreSQL database from the server, whoever is still connected to it. A failure is ignored: the server itself is
    /// removed after the tests.
    fn drop(&mut self) {
        if self.directory.is_some() {
            return;
        }
        let Some((_, name)) = self.url.rsplit_once('/') else { return };
        let drop = format!("drop database if exists {name} with (force)");
        // On a thread of its own: a test drops the database inside its runtime, which cannot be entered a second time.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut admin = PgConnection::connect(&postgres_url()).await?;
                admin.execute(sqlx::AssertSqlSafe(drop)).await
            })
        });
        let _: std::thread::Result<Result<_, sqlx::Error>> = dropping.join();
    }
}

/// The URL of the PostgreSQL test server, with the database that a connection for administration uses.
pub fn postgres_url() -> String {
    variable(POSTGRES)
}

/// The path of the CA certificate (PEM) that signed the PostgreSQL test server's certificate.
pub fn postgres_ca_file() -> PathBuf {
    variable(POSTGRES_CA).into()
}
