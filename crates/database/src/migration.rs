//! Brings a part's tables to this binary's version, once, however many processes start together.

use sqlx::{Executor, PgConnection, SqliteConnection};

use crate::error::DatabaseError;
use crate::on;
use crate::pools::Db;

/// One step of a part's schema. Steps are numbered 1, 2, 3 … by their place in the list.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The statements for PostgreSQL.
    pub postgres: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
    /// The oldest version whose binaries may still use the schema after this step (expand, then contract).
    pub oldest: i64,
}

/// A part of the database that migrates by itself: `tasks` here, `identity` in its own crate.
#[derive(Debug, Clone, Copy)]
pub struct SchemaPart {
    /// Its name in the `schema_version` table.
    pub name: &'static str,
    /// Its steps, oldest first; a step that has been released is never edited.
    pub steps: &'static [Migration],
}

const VERSIONS: &str = "create table if not exists schema_version (\
    part text primary key, version bigint not null, oldest bigint not null)";

/// Where a part stands in the database: its version, and the oldest version that may use it.
type SchemaVersion = Option<(i64, i64)>;

const READ: &str = "select version, oldest from schema_version where part = $1";

const WRITE: &str = "insert into schema_version (part, version, oldest) values ($1, $2, $3) \
    on conflict (part) do update set version = excluded.version, oldest = excluded.oldest";

impl SchemaPart {
    /// Applies the steps that are missing, all or none; refuses where a newer Tasker has closed the door.
    ///
    /// Others that start at the same moment wait for the one that migrates, then find nothing left to do.
    pub async fn migrate(&self, db: &Db) -> Result<(), DatabaseError> {
        match db {
            Db::Postgres(pools) => {
                let mut transaction = pools.write.begin().await?;
                self.on_postgres(&mut transaction).await?;
                transaction.commit().await?;
            }
            Db::Sqlite(pools) => {
                let mut transaction = pools.write.begin_with("begin immediate").await?;
                self.on_sqlite(&mut transaction).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Where the part stands in the database: its version, and the oldest one that may use it; `None` before its first
    /// migration. It changes nothing.
    pub async fn standing(&self, db: &Db) -> Result<Option<(i64, i64)>, DatabaseError> {
        let (there,): (i64,) = match db {
            Db::Postgres(pools) => {
                let there = "select count(*) from pg_tables where tablename = 'schema_version' and schemaname = any (current_schemas(false))";
                sqlx::query_as(there).fetch_one(&pools.read).await?
            }
            Db::Sqlite(pools) => {
                let there = "select count(*) from sqlite_master where name = 'schema_version'";
                sqlx::query_as(there).fetch_one(&pools.read).await?
            }
        };
        if there == 0 {
            return Ok(None);
        }
        Ok(on!(db, read, pool => sqlx::query_as(READ).bind(self.name).fetch_optional(pool).await)?)
    }

    async fn on_postgres(&self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        connection.execute("set local lock_timeout = 0; set local statement_timeout = 0").await?;
        connection.execute("select pg_advisory_xact_lock(hashtext('tasker: migrate'))").await?;
        connection.execute(VERSIONS).await?;
        let standing: SchemaVersion =
            sqlx::query_as(READ).bind(self.name).fetch_optional(&mut *connection).await?;
        for step in self.missing(standing)? {
            sqlx::raw_sql(step.postgres).execute(&mut *connection).await?;
        }
        let (version, oldest) = self.now_at(standing);
        sqlx::query(WRITE).bind(self.name).bind(version).bind(oldest).execute(connection).await?;
        Ok(())
    }

    async fn on_sqlite(&self, connection: &mut SqliteConnection) -> Result<(), DatabaseError> {
        connection.execute(VERSIONS).await?;
        let standing: SchemaVersion =
            sqlx::query_as(READ).bind(self.name).fetch_optional(&mut *connection).await?;
        for step in self.missing(standing)? {
            sqlx::raw_sql(step.sqlite).execute(&mut *connection).await?;
        }
        let (version, oldest) = self.now_at(standing);
        sqlx::query(WRITE).bind(self.name).bind(version).bind(oldest).execute(connection).await?;
        Ok(())
    }

    fn missing(&self, standing: SchemaVersion) -> Result<&'static [Migration], DatabaseError> {
        let (found, oldest) = standing.unwrap_or((0, 0));
        if oldest > self.version() {
            return Err(DatabaseError::SchemaTooNew {
                part: self.name,
                found,
                oldest,
                known: self.version(),
            });
        }
        let done = usize::try_from(found).unwrap_or(0).min(self.steps.len());
        Ok(&self.steps[done..])
    }

    fn now_at(&self, standing: SchemaVersion) -> (i64, i64) {
        let ours = (self.version(), self.steps.last().map_or(0, |step| step.oldest));
        standing.map_or(ours, |theirs| theirs.max(ours))
    }

    /// The version that this binary brings.
    pub fn version(&self) -> i64 {
        i64::try_from(self.steps.len()).expect("a handful of steps")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Migration = Migration { postgres: "", sqlite: "", oldest: 1 };
    const PART: SchemaPart = SchemaPart { name: "tasks", steps: &[STEP, Migration { oldest: 2, ..STEP }] };

    #[test]
    fn only_what_is_missing_is_applied() {
        assert_eq!(PART.missing(None).unwrap().len(), 2);
        assert_eq!(PART.missing(Some((1, 1))).unwrap().len(), 1);
        assert_eq!(PART.missing(Some((2, 2))).unwrap().len(), 0);
    }

    #[test]
    fn an_older_binary_may_use_what_only_expanded_and_leaves_the_version_alone() {
        assert_eq!(PART.missing(Some((7, 2))).unwrap().len(), 0);
        assert_eq!(PART.now_at(Some((7, 2))), (7, 2));
    }

    #[test]
    fn a_contracted_schema_refuses_with_a_sentence() {
        let refusal = PART.missing(Some((7, 5))).unwrap_err().to_string();
        assert!(refusal.contains("start a newer Tasker"), "{refusal}");
    }
}
