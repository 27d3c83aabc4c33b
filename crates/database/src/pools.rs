//! Connection pools: the choice of PostgreSQL or SQLite, their settings, and the macro that runs one statement on either.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Database, Executor, Pool, Postgres, Sqlite};

use crate::error::DatabaseError;
use crate::postgres_url::{parse_postgres_url, with_files_in};
use crate::read_only_failover::may_lead_to_standby;

/// How long a caller waits for a connection (on SQLite also for the lock of the file) before the call fails as unavailable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Settings of each connection. A statement must see what was committed before it began, also where it has waited for a lock, so the
/// isolation level is PostgreSQL's own default, whatever the default of the database or of the account is. The
/// planner's statistics of `unfinished_task` are always out of date, and a query for one page must never sort the whole table, so
/// every plan but the one by index is switched off.
const POSTGRES_SETTINGS: &str = "set default_transaction_isolation = 'read committed'; set jit = off; \
    set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; set enable_bitmapscan = off; \
    set statement_timeout = '20s'";

/// Further settings of each connection that writes. Commits wait for the disk even where the server's default is
/// `synchronous_commit = off`.
const POSTGRES_WRITER_SETTINGS: &str = "set plan_cache_mode = force_generic_plan; set lock_timeout = '5s'; \
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

/// Further settings of each connection that only reads.
const POSTGRES_READER_SETTINGS: &str = "set default_transaction_read_only = on";

/// The page cache of the connection that writes: 8 MiB (negative: in KiB). A commit that has split a page walks through the whole cache (SQLite
/// moves such pages by way of a page number beyond the file), so a larger cache makes commits slower, not faster.
const SQLITE_WRITER_CACHE: &str = "-8192";

const NOW: &str = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";

/// An open database.
#[derive(Debug, Clone)]
pub enum Db {
    /// PostgreSQL 15 or newer.
    Postgres(Pools<Postgres>),
    /// SQLite: one file, in WAL mode, with every commit synced to disk.
    Sqlite(Pools<Sqlite>),
}

/// One pool of connections that write and one of connections that only read, so that neither kind starves the other.
#[derive(Debug)]
pub struct Pools<DB: Database> {
    /// Connections that write; on SQLite there is one.
    pub write: Pool<DB>,
    /// Connections that only read.
    pub read: Pool<DB>,
}

impl<DB: Database> Clone for Pools<DB> {
    fn clone(&self) -> Self {
        Self { write: self.write.clone(), read: self.read.clone() }
    }
}

/// How many connections one [`Db`] may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolOptions {
    /// The most connections to a PostgreSQL server, at least [`PoolOptions::MIN_CONNECTIONS`]; 17 by default.
    ///
    /// One is set aside for the connection that a Backend listens for notifications on. Of the others three eighths
    /// (rounded down, at least one) go to the pool that reads and the rest to the pool that writes: of 17, 6 read and 10
    /// write. Each process of Tasker has that many for tasks and as many for accounts, where it serves both; their sum must
    /// stay below the server's `max_connections` (100 by default).
    ///
    /// SQLite ignores it: a file has one writer, and four connections read.
    pub max_connections: u32,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { max_connections: 17 }
    }
}

impl PoolOptions {
    /// The fewest connections to PostgreSQL: one writes, one reads, one listens for notifications.
    pub const MIN_CONNECTIONS: u32 = 3;

    /// The sizes of the pool that writes and of the pool that reads.
    fn split(self) -> Result<(u32, u32), DatabaseError> {
        if self.max_connections < Self::MIN_CONNECTIONS {
            return Err(DatabaseError::TooFewConnections(self.max_connections));
        }
        let pooled = self.max_connections - 1;
        let read = (pooled.saturating_mul(3) / 8).max(1);
        Ok((pooled - read, read))
    }
}

/// Runs one statement on whichever database is open, so that its text is written once.
///
/// `on!(db, write, pool => sqlx::query("…").execute(pool).await)`
#[macro_export]
macro_rules! on {
    ($db:expr, $which:ident, $pool:ident => $run:expr) => {
        match $db {
            $crate::pools::Db::Postgres(pools) => {
                let $pool = &pools.$which;
                $run
            }
            $crate::pools::Db::Sqlite(pools) => {
                let $pool = &pools.$which;
                $run
            }
        }
    };
}

pub use on;

impl Db {
    /// Opens the database that `url` names: `postgres://…` or `sqlite:PATH` (a file, created when absent).
    ///
    /// Connections are opened by the statements that need them, so the first statement shows whether a server answers.
    /// Fails if `url` names no database.
    pub fn open(url: &str) -> Result<Self, DatabaseError> {
        Self::open_with(url, &PoolOptions::default())
    }

    /// [`Db::open`] with another number of connections. Fails also if `options` leave a pool without any.
    pub fn open_with(url: &str, options: &PoolOptions) -> Result<Self, DatabaseError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Self::Postgres(postgres(&parse_postgres_url(url)?, *options)?))
        } else if let Some(path) = Self::sqlite_path(url) {
            Ok(Self::Sqlite(sqlite(checked_file_path(path)?)))
        } else {
            Err(DatabaseError::Url)
        }
    }

    /// The path in `sqlite:PATH` or `sqlite://PATH`; `None` for any other database.
    pub fn sqlite_path(url: &str) -> Option<&str> {
        let path = url.strip_prefix("sqlite:")?;
        Some(path.strip_prefix("//").unwrap_or(path))
    }

    /// `url` with its relative paths (that of a SQLite file, those of certificates) made relative to `directory`.
    pub fn with_paths_in(url: &str, directory: &Path) -> String {
        match Self::sqlite_path(url) {
            None => with_files_in(url, directory),
            Some(path) if checked_file_path(path).is_err() => url.to_owned(),
            Some(path) => format!("sqlite:{}", directory.join(path).display()),
        }
    }

    /// The host of the PostgreSQL server that `url` connects to without TLS: by `sslmode=disable`, or by `allow`, which never
    /// demands TLS. `None` with TLS, over a Unix socket, and for SQLite.
    pub fn plaintext_host(url: &str) -> Option<String> {
        if Self::sqlite_path(url).is_some() {
            return None;
        }
        let options = parse_postgres_url(url).ok()?;
        let is_plain = matches!(options.get_ssl_mode(), PgSslMode::Disable | PgSslMode::Allow);
        let is_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        (is_plain && !is_socket).then(|| options.get_host().to_owned())
    }

    /// Runs an empty query; fails if the database does not answer.
    pub async fn ping(&self) -> Result<(), DatabaseError> {
        on!(self, read, pool => pool.execute("select 1").await.map(drop))?;
        Ok(())
    }

    /// The time of the PostgreSQL server in microseconds since 1970; needs no tables. `None` on SQLite, which follows the
    /// clock of this process.
    pub async fn now(&self) -> Result<Option<i64>, DatabaseError> {
        let Self::Postgres(pools) = self else { return Ok(None) };
        let (now,): (i64,) = sqlx::query_as(NOW).fetch_one(&pools.read).await?;
        Ok(Some(now))
    }

    /// Closes all connections and waits until that is done.
    pub async fn close(&self) {
        on!(self, write, pool => pool.close().await);
        on!(self, read, pool => pool.close().await);
    }
}

fn postgres(server: &PgConnectOptions, options: PoolOptions) -> Result<Pools<Postgres>, DatabaseError> {
    let (write, read) = options.split()?;
    let pool = |connections: u32, settings: &'static str| {
        PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    connection.execute(POSTGRES_SETTINGS).await?;
                    connection.execute(settings).await.map(drop)
                })
            })
            .before_acquire(|_, session| {
                let is_outdated = may_lead_to_standby(session.age);
                Box::pin(async move { Ok(!is_outdated) })
            })
            .connect_lazy_with(server.clone().application_name("tasker"))
    };
    Ok(Pools { write: pool(write, POSTGRES_WRITER_SETTINGS), read: pool(read, POSTGRES_READER_SETTINGS) })
}

/// Checks that every connection that opens `path` opens the same database.
fn checked_file_path(path: &str) -> Result<&str, DatabaseError> {
    if path.is_empty() || path == ":memory:" {
        return Err(DatabaseError::SqlitePath(
            "a database in memory would be another one for each connection",
        ));
    }
    if path.contains('?') {
        return Err(DatabaseError::SqlitePath("its settings are Tasker's own, so nothing can follow a “?”"));
    }
    Ok(path)
}

fn sqlite(path: &str) -> Pools<Sqlite> {
    let options = SqliteConnectOptions::new()
        .filename(PathBuf::from(path))
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(ACQUIRE_TIMEOUT)
        // The default is a file for the journal of nearly every statement that writes.
        .pragma("temp_store", "memory");
    let pool = |connections: u32, options: SqliteConnectOptions| {
        SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options)
    };
    Pools {
        write: pool(1, options.clone().pragma("cache_size", SQLITE_WRITER_CACHE)),
        read: pool(4, options.pragma("query_only", "on")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_path_is_what_follows_the_scheme() {
        assert_eq!(Db::sqlite_path("sqlite:data/tasks.db"), Some("data/tasks.db"));
        assert_eq!(Db::sqlite_path("sqlite://data/tasks.db"), Some("data/tasks.db"));
        assert_eq!(Db::sqlite_path("sqlite:///var/tasks.db"), Some("/var/tasks.db"));
        assert_eq!(Db::sqlite_path("postgres://127.0.0.1/tasks"), None);
    }

    #[tokio::test]
    async fn the_most_connections_are_split_between_the_pools() {
        let sizes = |max_connections| {
            let db = Db::open_with("postgres://127.0.0.1/tasks", &PoolOptions { max_connections }).unwrap();
            let Db::Postgres(pools) = db else { panic!("{db:?} is not PostgreSQL") };
            (pools.write.options().get_max_connections(), pools.read.options().get_max_connections())
        };
        for (max_connections, expected) in
            [(3, (1, 1)), (4, (2, 1)), (9, (5, 3)), (17, (10, 6)), (65, (40, 24))]
        {
            assert_eq!(sizes(max_connections), expected, "of {max_connections}");
        }
        let Db::Postgres(pools) = Db::open("postgres://127.0.0.1/tasks").unwrap() else {
            panic!("not PostgreSQL")
        };
        assert_eq!(pools.write.options().get_max_connections(), 10, "the default is 17 in all");
    }

    #[test]
    fn too_few_connections_are_refused() {
        let refusal = Db::open_with("postgres://127.0.0.1/tasks", &PoolOptions { max_connections: 2 });
        let refusal = refusal.unwrap_err().to_string();
        assert_eq!(
            refusal,
            "2 connections are too few: one writes, one reads and one listens for notifications"
        );
    }

    #[test]
    fn a_server_without_tls_is_recognized_by_its_sslmode() {
        let host = |query: &str| Db::plaintext_host(&format!("postgres://ann@db.example.org/tasks{query}"));
        assert_eq!(host("?sslmode=disable").as_deref(), Some("db.example.org"));
        assert_eq!(host("?sslmode=allow").as_deref(), Some("db.example.org"));
        assert_eq!(host("?sslmode=verify-full"), None);
        assert_eq!(Db::plaintext_host("sqlite:tasks.db"), None);
        assert_eq!(Db::plaintext_host("postgres://ann@%2Frun%2Fpostgresql/tasks?sslmode=disable"), None);
    }
}
