//! The migrator: brings the tables of one part to this binary's version, once, however many processes start together.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sqlx::{Executor, PgConnection, SqliteConnection};

use crate::error::DatabaseError;
use crate::pools::{Db, on};
use crate::preconditions::Inventory;

/// One step of a part's schema. Steps are numbered 1, 2, 3 … by their position in the list.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The statements for PostgreSQL.
    pub postgres: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
    /// The oldest version whose binaries may still use the schema after this step (expand, then contract).
    pub oldest: i64,
}

/// A set of tables that is migrated independently of the others, even in the same database: those of tasks, those of accounts.
#[derive(Debug, Clone, Copy)]
pub struct SchemaPart {
    /// The part's name in the `schema_version` table.
    pub name: &'static str,
    /// The part's steps, oldest first. A step that has been released is never edited.
    pub steps: &'static [Migration],
    /// The tables that every request may write, separated by commas. [`crate::WriteCheck`] takes the locks of such a write.
    pub tables: &'static str,
}

const CREATE_VERSION_TABLE: &str = "create table if not exists schema_version (\
    part text primary key, version bigint not null, oldest bigint not null)";

/// One row for each part, which [`crate::WriteCheck`] writes.
const CREATE_READINESS_TABLE: &str =
    "create table if not exists readiness (part text primary key, checked_at text not null)";

/// A row of `schema_version`: the version of a part in the database, and the oldest version that may use it.
type VersionRow = (i64, i64);

const READ_VERSION: &str = "select version, oldest from schema_version where part = $1";

const WRITE_VERSION: &str = "insert into schema_version (part, version, oldest) values ($1, $2, $3) \
    on conflict (part) do update set version = excluded.version, oldest = excluded.oldest";

/// Applies the missing steps of `$part`. `$inventory` is what the database contains; `$database` is the field of a step that holds
/// its SQL, `postgres` or `sqlite`.
macro_rules! apply_missing {
    ($part:ident, $connection:ident, $inventory:ident, $database:ident) => {{
        $inventory.check()?;
        if !$inventory.has_own_tables() {
            $connection.execute(CREATE_VERSION_TABLE).await?;
            $connection.execute(CREATE_READINESS_TABLE).await?;
        }
        let found: Option<VersionRow> =
            sqlx::query_as(READ_VERSION).bind($part.name).fetch_optional(&mut *$connection).await?;
        if found.is_none() {
            $inventory.check_absent($part.steps.iter().map(|step| step.$database))?;
        }
        for step in $part.missing(found)? {
            sqlx::raw_sql(step.$database).execute(&mut *$connection).await?;
        }
        let (version, oldest) = $part.version_after(found);
        sqlx::query(WRITE_VERSION).bind($part.name).bind(version).bind(oldest).execute($connection).await?;
        Ok(())
    }};
}

impl SchemaPart {
    /// Applies the missing steps in one transaction.
    ///
    /// Processes that migrate at the same time wait for one another; the later ones find nothing left to do. (On PostgreSQL this
    /// depends on the isolation level READ COMMITTED, by which a statement sees what was committed while the one before it waited
    /// for the lock.) Fails with [`DatabaseError::SchemaTooNew`] when a newer Tasker has raised the oldest admissible version above
    /// this binary's.
    pub async fn migrate(&self, db: &Db) -> Result<(), DatabaseError> {
        match db {
            Db::Postgres(pools) => {
                let mut transaction = pools.write.begin_with("begin isolation level read committed").await?;
                self.migrate_postgres(&mut transaction).await?;
                transaction.commit().await?;
            }
            Db::Sqlite(pools) => {
                create_private_file(pools.write.connect_options().get_filename());
                let mut transaction = pools.write.begin_with("begin immediate").await?;
                self.migrate_sqlite(&mut transaction).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Reads the version of the part in the database and the oldest version that may use it; `None` before its first
    /// migration. Changes nothing.
    pub async fn applied_version(&self, db: &Db) -> Result<Option<(i64, i64)>, DatabaseError> {
        let (tables,): (i64,) = match db {
            Db::Postgres(pools) => {
                let query = "select count(*) from pg_tables where tablename = 'schema_version' and schemaname = any (current_schemas(false))";
                sqlx::query_as(query).fetch_one(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let query = "select count(*) from sqlite_master where name = 'schema_version'";
                sqlx::query_as(query).fetch_one(&pools.read).await?
            }
        };
        if tables == 0 {
            return Ok(None);
        }
        Ok(on!(db, read, pool => sqlx::query_as(READ_VERSION).bind(self.name).fetch_optional(pool).await)?)
    }

    /// Fails with [`DatabaseError::UnmetPrecondition`] if [`SchemaPart::migrate`] would. Changes nothing.
    pub async fn check_preconditions(&self, db: &Db) -> Result<(), DatabaseError> {
        let inventory = match db {
            Db::Postgres(pools) => Inventory::of_postgres(&mut *pools.read.acquire().await?).await?,
            Db::Sqlite(pools) => Inventory::of_sqlite(&mut *pools.read.acquire().await?).await?,
        };
        inventory.check()?;
        if self.applied_version(db).await?.is_none() {
            let statements = self.steps.iter().map(|step| match db {
                Db::Postgres(_) => step.postgres,
                Db::Sqlite(_) => step.sqlite,
            });
            inventory.check_absent(statements)?;
        }
        Ok(())
    }

    async fn migrate_postgres(&self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        connection.execute("set local lock_timeout = 0; set local statement_timeout = 0").await?;
        connection.execute("select pg_advisory_xact_lock(hashtext('tasker: migrate'))").await?;
        let inventory = Inventory::of_postgres(connection).await?;
        apply_missing!(self, connection, inventory, postgres)
    }

    async fn migrate_sqlite(&self, connection: &mut SqliteConnection) -> Result<(), DatabaseError> {
        let inventory = Inventory::of_sqlite(connection).await?;
        apply_missing!(self, connection, inventory, sqlite)
    }

    fn missing(&self, in_database: Option<VersionRow>) -> Result<&'static [Migration], DatabaseError> {
        let (found, oldest) = in_database.unwrap_or((0, 0));
        if oldest > self.latest_version() {
            return Err(DatabaseError::SchemaTooNew {
                part: self.name,
                found,
                oldest,
                known: self.latest_version(),
            });
        }
        let done = usize::try_from(found).unwrap_or(0).min(self.steps.len());
        Ok(&self.steps[done..])
    }

    /// What `schema_version` holds after the migration. An older binary leaves the version of a newer one alone.
    fn version_after(&self, in_database: Option<VersionRow>) -> VersionRow {
        let ours = (self.latest_version(), self.steps.last().map_or(0, |step| step.oldest));
        in_database.map_or(ours, |theirs| theirs.max(ours))
    }

    /// The latest version of the schema in this binary: the number of its steps.
    pub fn latest_version(&self) -> i64 {
        i64::try_from(self.steps.len()).expect("the steps are few")
    }
}

/// Creates the file of a database that does not exist yet, so that only its owner may read it whatever the umask: it holds password
/// hashes. SQLite gives `-wal` and `-shm` the mode of the file. An error is left to SQLite, which reports it in its own words.
fn create_private_file(path: &Path) {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Migration = Migration { postgres: "", sqlite: "", oldest: 1 };
    const PART: SchemaPart =
        SchemaPart { name: "tasks", steps: &[STEP, Migration { oldest: 2, ..STEP }], tables: "" };

    #[test]
    fn only_missing_steps_are_applied() {
        assert_eq!(PART.missing(None).unwrap().len(), 2);
        assert_eq!(PART.missing(Some((1, 1))).unwrap().len(), 1);
        assert_eq!(PART.missing(Some((2, 2))).unwrap().len(), 0);
    }

    #[test]
    fn an_older_binary_may_use_an_expanded_schema_and_leaves_its_version_alone() {
        assert_eq!(PART.missing(Some((7, 2))).unwrap().len(), 0);
        assert_eq!(PART.version_after(Some((7, 2))), (7, 2));
    }

    #[test]
    fn a_contracted_schema_is_refused_with_advice() {
        let refusal = PART.missing(Some((7, 5))).unwrap_err().to_string();
        assert!(refusal.contains("start a newer Tasker"), "{refusal}");
    }
}
