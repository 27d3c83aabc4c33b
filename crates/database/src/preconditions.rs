//! What a database must be before tables are made in it: a server of a supported version that stores any text, a schema in
//! which the account may create, and no table of another program under a name of ours.

use sqlx::{PgConnection, SqliteConnection};

/// The oldest PostgreSQL, as its `server_version_num`.
const OLDEST_POSTGRES: i32 = 150_000;

/// The tables of the migrator itself, with their columns in the order of the alphabet.
const OWN_TABLES: [(&str, &str); 2] =
    [("schema_version", "oldest,part,version"), ("readiness", "checked_at,part")];

const POSTGRES_FACTS: &str = "select current_setting('server_version_num')::int, current_setting('server_version'), \
    current_setting('server_encoding'), current_database()::text, current_user::text, current_setting('search_path'), \
    current_schema()::text, coalesce(has_schema_privilege(current_schema(), 'create'), false)";

const POSTGRES_RELATIONS: &str = "select c.relname::text, (select string_agg(a.attname::text, ',' order by a.attname::text) \
        from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) \
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = current_schema()";

const SQLITE_RELATIONS: &str = "select m.name, (select group_concat(name, ',') from \
        (select name from pragma_table_info(m.name) order by name)) \
    from sqlite_master m where m.type in ('table', 'view')";

/// Why a database cannot hold Tasker's tables, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnmetPrecondition {
    /// The server is older than what Tasker supports.
    #[error("the server is PostgreSQL {version}, and Tasker needs 15 or newer: upgrade it")]
    OldServer {
        /// The version in the server's words.
        version: String,
    },
    /// The encoding of the database lacks characters.
    #[error(
        "the database {database} has the encoding {encoding}, which cannot store every text: create another one with \
         `create database NAME encoding 'UTF8' template template0`"
    )]
    Encoding {
        /// The database.
        database: String,
        /// Its encoding in PostgreSQL's words.
        encoding: String,
    },
    /// No schema of the search path exists.
    #[error(
        "search_path = {search_path} names no schema that exists: create it, or `alter role {account} set search_path = public`"
    )]
    NoSchema {
        /// The setting `search_path` of the session.
        search_path: String,
        /// The account of the connection.
        account: String,
    },
    /// Tables are missing, and the account may create none.
    #[error(
        "the account {account} may not create tables in the schema {schema}: `grant create on schema {schema} to {account}`"
    )]
    NoRightToCreate {
        /// The account of the connection.
        account: String,
        /// The schema.
        schema: String,
    },
    /// Another program uses a name of ours.
    #[error(
        "there is a table {table} that is not Tasker's: give Tasker a database of its own, or on PostgreSQL a schema of its own \
         (`alter role NAME set search_path = tasker`)"
    )]
    ForeignTable {
        /// The table or view.
        table: String,
    },
}

/// What is in the database before a migration.
#[derive(Debug)]
pub(crate) struct Inventory {
    /// `None` for SQLite.
    server: Option<ServerFacts>,
    /// Tables and views with their columns, as in [`OWN_TABLES`].
    relations: Vec<(String, Option<String>)>,
}

/// Version number, version, encoding, database, account, search path, current schema, the right to create in it.
type ServerFacts = (i32, String, String, String, String, String, Option<String>, bool);

impl Inventory {
    /// Reads the facts of a PostgreSQL server, and what is in the current schema.
    pub(crate) async fn of_postgres(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let server = sqlx::query_as(POSTGRES_FACTS).fetch_one(&mut *connection).await?;
        let relations = sqlx::query_as(POSTGRES_RELATIONS).fetch_all(connection).await?;
        Ok(Self { server: Some(server), relations })
    }

    /// Reads what is in a SQLite database.
    pub(crate) async fn of_sqlite(connection: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let relations = sqlx::query_as(SQLITE_RELATIONS).fetch_all(connection).await?;
        Ok(Self { server: None, relations })
    }

    /// Whether the tables of the migrator exist.
    pub(crate) fn has_own_tables(&self) -> bool {
        OWN_TABLES.iter().all(|(table, _)| self.relations.iter().any(|(name, _)| name == table))
    }

    /// Checks the server, and that the tables of the migrator, as far as they exist, are ours.
    pub(crate) fn check(&self) -> Result<(), UnmetPrecondition> {
        if let Some(server) = &self.server {
            check_server(server, self.has_own_tables())?;
        }
        let is_foreign = |(name, columns): &&(String, Option<String>)| {
            OWN_TABLES.iter().any(|(table, ours)| name == table && columns.as_deref() != Some(ours))
        };
        self.relations.iter().find(is_foreign).map_or(Ok(()), refuse)
    }

    /// Checks that none of the tables and views that the statements of a migration create exists.
    pub(crate) fn check_absent<'a>(
        &self,
        mut statements: impl Iterator<Item = &'a str>,
    ) -> Result<(), UnmetPrecondition> {
        let foreign = statements.find_map(|statements| {
            let created: Vec<&str> = created_relations(statements).collect();
            self.relations.iter().find(|(name, _)| created.contains(&&**name))
        });
        foreign.map_or(Ok(()), refuse)
    }
}

fn check_server(facts: &ServerFacts, has_own_tables: bool) -> Result<(), UnmetPrecondition> {
    let (number, version, encoding, database, account, search_path, schema, may_create) = facts.clone();
    if number < OLDEST_POSTGRES {
        return Err(UnmetPrecondition::OldServer { version });
    }
    if encoding != "UTF8" {
        return Err(UnmetPrecondition::Encoding { database, encoding });
    }
    match schema {
        None => Err(UnmetPrecondition::NoSchema { search_path, account }),
        Some(schema) if !may_create && !has_own_tables => {
            Err(UnmetPrecondition::NoRightToCreate { account, schema })
        }
        Some(_) => Ok(()),
    }
}

fn refuse((table, _): &(String, Option<String>)) -> Result<(), UnmetPrecondition> {
    Err(UnmetPrecondition::ForeignTable { table: table.clone() })
}

/// The names in the lines `create table NAME (` and `create view NAME as` of a migration.
fn created_relations(statements: &str) -> impl Iterator<Item = &str> {
    let created = statements
        .lines()
        .filter_map(|line| line.strip_prefix("create table ").or_else(|| line.strip_prefix("create view ")));
    created.filter_map(|rest| rest.split([' ', '(']).next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(number: i32, version: &str) -> ServerFacts {
        let text = str::to_owned;
        (
            number,
            text(version),
            text("UTF8"),
            text("d"),
            text("a"),
            text("public"),
            Some(text("public")),
            false,
        )
    }

    #[test]
    fn an_old_server_is_refused_by_its_version() {
        let refusal = check_server(&facts(140_013, "14.13 (Debian 14.13-1)"), true).unwrap_err().to_string();
        assert!(refusal.starts_with("the server is PostgreSQL 14.13 (Debian 14.13-1), and "), "{refusal}");
        assert_eq!(check_server(&facts(150_000, "15.0"), true), Ok(()));
    }

    #[test]
    fn an_account_needs_the_right_to_create_only_where_tables_are_missing() {
        let refusal = check_server(&facts(170_000, "17.0"), false).unwrap_err().to_string();
        assert!(refusal.ends_with("`grant create on schema public to a`"), "{refusal}");
    }
}
