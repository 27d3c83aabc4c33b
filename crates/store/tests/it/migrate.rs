//! Migrations: applied once by processes that start at the same time, and refused to a binary that is too old.

use database::{Db, Migration, ProcessClock, SchemaPart, on};
use store::{Store, TASKS_SCHEMA};
use testkit::TestDatabase;
use tokio::task::JoinSet;

use crate::kit::each_database;

/// The version that this binary brings.
fn own_version() -> i64 {
    i64::try_from(TASKS_SCHEMA.steps.len()).unwrap()
}

/// Eight processes open and migrate an empty database at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_migrations_are_applied_once() {
    for scratch in [TestDatabase::sqlite(), TestDatabase::postgres().await] {
        let mut race = JoinSet::new();
        for _ in 0..8 {
            let store = Store::new(scratch.open(), ProcessClock::default());
            race.spawn(async move {
                store.migrate().await.unwrap();
                store.check_writes().await.unwrap();
                store.close().await;
            });
        }
        race.join_all().await;
        let db = scratch.open();
        let (parts, version): (i64, i64) = on!(&db, read, pool =>
            sqlx::query_as("select count(*), max(version) from schema_version").fetch_one(pool).await)
        .unwrap();
        assert_eq!((parts, version), (1, own_version()));
        Store::new(db.clone(), ProcessClock::default())
            .migrate()
            .await
            .expect("repeating a migration changes nothing");
        db.close().await;
    }
}

#[tokio::test]
async fn an_older_tasker_is_refused_with_advice() {
    each_database(|test| async move {
        test.execute("update schema_version set version = 9, oldest = 1").await.unwrap();
        test.store.migrate().await.expect("the newer version still admits this one");
        assert_eq!(test.number("select version from schema_version").await, 9);
        test.execute("update schema_version set oldest = 7").await.unwrap();
        let refusal = test.store.migrate().await.unwrap_err();
        let sentence = format!(
            "the schema of tasks is at version 9 and needs a Tasker that knows version 7 or newer; \
             this one knows {}: start a newer Tasker",
            own_version()
        );
        assert_eq!(refusal.to_string(), sentence);
    })
    .await;
}

const GOOD: Migration = Migration {
    postgres: "create table made (n bigint)",
    sqlite: "create table made (n integer)",
    oldest: 1,
};

const BROKEN: Migration = Migration {
    postgres: "create table half (n bigint); create table made (n bigint)",
    sqlite: "create table half (n integer); create table made (n integer)",
    oldest: 2,
};

/// A failing step leaves the version and the tables as they were, with the steps before it.
#[tokio::test]
async fn a_failing_step_has_no_effect() {
    each_database(|test| async move {
        let good = SchemaPart { name: "part", steps: &[GOOD], tables: "" };
        let broken = SchemaPart { name: "part", steps: &[GOOD, BROKEN], tables: "" };
        broken.migrate(&test.db).await.unwrap_err();
        good.migrate(&test.db).await.expect("the failed migration created no table");
        broken.migrate(&test.db).await.unwrap_err();
        test.execute("select * from half").await.unwrap_err();
        test.execute("select * from made").await.expect("the table of the good step");
        assert_eq!(test.number("select version from schema_version where part = 'part'").await, 1);
    })
    .await;
}

#[test]
fn an_unknown_address_is_refused() {
    let refusal = Db::open("mysql://nowhere").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the address of a database must begin with postgres:// or be sqlite:PATH"
    );
}

#[test]
fn a_sqlite_database_must_be_a_file() {
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite:", "sqlite:tasks.db?mode=ro"] {
        let refusal = Db::open(url).unwrap_err().to_string();
        assert!(refusal.starts_with("PATH in sqlite:PATH is not the path of a file: "), "{url}: {refusal}");
    }
}
