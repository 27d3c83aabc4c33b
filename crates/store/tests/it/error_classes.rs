//! Which failures count as temporary, judged by real errors of both databases.

use std::error::Error;
use std::time::Duration;

use database::{DatabaseError, Db, DriverError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

fn code(error: &DatabaseError) -> String {
    let DatabaseError::Database(DriverError(sqlx::Error::Database(refusal))) = error else {
        panic!("{error:?}")
    };
    refusal.code().unwrap().into_owned()
}

/// A connection to a file that does not wait for locks.
async fn without_waiting(directory: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("tasks.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::ZERO);
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_unavailable() {
    let directory = TempDir::new().unwrap();
    let db = Db::open(&format!("sqlite:{}", directory.path().join("absent/tasks.db").display())).unwrap();
    let error = db.ping().await.unwrap_err();
    assert_eq!(code(&error), "14");
    assert!(error.is_unavailable());
}

#[tokio::test]
async fn a_busy_file_is_unavailable_whatever_the_extended_code() {
    let directory = TempDir::new().unwrap();
    let (mut one, mut other) = (without_waiting(&directory).await, without_waiting(&directory).await);
    one.execute("create table t (n integer); begin immediate").await.unwrap();
    let busy: DatabaseError = other.execute("begin immediate").await.unwrap_err().into();
    assert_eq!(code(&busy), "5");
    assert!(busy.is_unavailable());

    other.execute("begin; select * from t").await.unwrap();
    one.execute("insert into t values (1); commit").await.unwrap();
    let stale: DatabaseError = other.execute("insert into t values (2)").await.unwrap_err().into();
    assert_eq!(code(&stale), "517", "busy because of an old snapshot (SQLITE_BUSY_SNAPSHOT)");
    assert!(stale.is_unavailable());
}

#[tokio::test]
async fn an_error_that_will_happen_again_is_not_unavailability() {
    let directory = TempDir::new().unwrap();
    let mut connection = without_waiting(&directory).await;
    connection.execute("create table t (n integer primary key not null) strict").await.unwrap();
    for statement in ["insert into t values ('word')", "select * from nowhere"] {
        let error: DatabaseError = connection.execute(statement).await.unwrap_err().into();
        assert!(!error.is_unavailable(), "{statement}: {error:?}");
    }
}

#[tokio::test]
async fn a_statement_timeout_on_postgres_is_unavailability() {
    let mut connection = PgConnection::connect(&testkit::postgres_url()).await.unwrap();
    let late = connection.execute("set statement_timeout = '1ms'; select pg_sleep(60)").await.unwrap_err();
    let late = DatabaseError::from(late);
    assert_eq!(code(&late), "57014");
    assert!(late.is_unavailable());
    let wrong: DatabaseError = connection.execute("select * from nowhere").await.unwrap_err().into();
    assert!(!wrong.is_unavailable());
}

#[tokio::test]
async fn the_databases_message_is_the_only_cause() {
    let mut connection = PgConnection::connect(&testkit::postgres_url()).await.unwrap();
    let refused: DatabaseError = connection.execute("select * from nowhere").await.unwrap_err().into();
    let cause = refused.source().unwrap();
    assert_eq!(cause.to_string(), r#"relation "nowhere" does not exist"#);
    assert!(cause.source().is_none(), "{cause:?}");
}
