//! Which failures pass by themselves: real ones, as the databases tell them.

use std::error::Error;
use std::time::Duration;

use database::{Cause, DatabaseError, Db};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{Connection, Executor, PgConnection, SqliteConnection};
use tempfile::TempDir;

fn code(error: &DatabaseError) -> String {
    let DatabaseError::Database(Cause(sqlx::Error::Database(refusal))) = error else { panic!("{error:?}") };
    refusal.code().unwrap().into_owned()
}

/// A connection to a file of its own or somebody's, which waits for nobody.
async fn impatient(directory: &TempDir) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(directory.path().join("tasks.db"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::ZERO);
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_away() {
    let directory = TempDir::new().unwrap();
    let db = Db::open(&format!("sqlite:{}", directory.path().join("absent/tasks.db").display())).unwrap();
    let error = db.ping().await.unwrap_err();
    assert_eq!(code(&error), "14");
    assert!(error.is_unavailable());
}

#[tokio::test]
async fn a_busy_file_is_away_whatever_kind_of_busy_it_is() {
    let directory = TempDir::new().unwrap();
    let (mut one, mut other) = (impatient(&directory).await, impatient(&directory).await);
    one.execute("create table t (n integer); begin immediate").await.unwrap();
    let busy: DatabaseError = other.execute("begin immediate").await.unwrap_err().into();
    assert_eq!(code(&busy), "5");
    assert!(busy.is_unavailable());

    other.execute("begin; select * from t").await.unwrap();
    one.execute("insert into t values (1); commit").await.unwrap();
    let stale: DatabaseError = other.execute("insert into t values (2)").await.unwrap_err().into();
    assert_eq!(code(&stale), "517", "busy, with a snapshot that is too old to write on");
    assert!(stale.is_unavailable());
}

#[tokio::test]
async fn what_will_fail_again_is_not_away() {
    let directory = TempDir::new().unwrap();
    let mut connection = impatient(&directory).await;
    connection.execute("create table t (n integer primary key not null) strict").await.unwrap();
    for statement in ["insert into t values ('word')", "select * from nowhere"] {
        let error: DatabaseError = connection.execute(statement).await.unwrap_err().into();
        assert!(!error.is_unavailable(), "{statement}: {error:?}");
    }
}

#[tokio::test]
async fn a_wait_that_timed_out_on_postgres_is_away() {
    let mut connection = PgConnection::connect(&testkit::postgres_server()).await.unwrap();
    let late = connection.execute("set statement_timeout = '1ms'; select pg_sleep(60)").await.unwrap_err();
    let late = DatabaseError::from(late);
    assert_eq!(code(&late), "57014");
    assert!(late.is_unavailable());
    let wrong: DatabaseError = connection.execute("select * from nowhere").await.unwrap_err().into();
    assert!(!wrong.is_unavailable());
}

#[tokio::test]
async fn a_refusal_is_told_once_in_the_databases_own_words() {
    let mut connection = PgConnection::connect(&testkit::postgres_server()).await.unwrap();
    let refused: DatabaseError = connection.execute("select * from nowhere").await.unwrap_err().into();
    let cause = refused.source().unwrap();
    assert_eq!(cause.to_string(), r#"relation "nowhere" does not exist"#);
    assert!(cause.source().is_none(), "{cause:?}");
}
