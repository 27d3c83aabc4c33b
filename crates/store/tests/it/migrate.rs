//! Migrations: once however many start, and closed to a binary that is too old.

use database::{Clock, Db, Migration, SchemaPart, on};
use store::{Store, TASKS};
use testkit::Scratch;
use tokio::task::JoinSet;

use crate::kit::each_database;

/// The version that this binary brings.
fn ours() -> i64 {
    i64::try_from(TASKS.steps.len()).unwrap()
}

/// Eight processes open and migrate an empty database at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_that_start_together_migrate_once() {
    for scratch in [Scratch::sqlite(), Scratch::postgres().await] {
        let mut race = JoinSet::new();
        for _ in 0..8 {
            let store = Store::new(scratch.open(), Clock::default());
            race.spawn(async move {
                store.migrate().await.unwrap();
                store.ping().await.unwrap();
                store.close().await;
            });
        }
        race.join_all().await;
        let db = scratch.open();
        let (parts, version): (i64, i64) = on!(&db, read, pool =>
            sqlx::query_as("select count(*), max(version) from schema_version").fetch_one(pool).await)
        .unwrap();
        assert_eq!((parts, version), (1, ours()));
        Store::new(db.clone(), Clock::default()).migrate().await.expect("and again, later");
        db.close().await;
    }
}

#[tokio::test]
async fn an_older_tasker_is_refused_with_a_sentence() {
    each_database(|bench| async move {
        bench.execute("update schema_version set version = 9, oldest = 1").await.unwrap();
        bench.store.migrate().await.expect("the newer one only added");
        assert_eq!(bench.number("select version from schema_version").await, 9);
        bench.execute("update schema_version set oldest = 7").await.unwrap();
        let refusal = bench.store.migrate().await.unwrap_err();
        let sentence = format!(
            "the schema of tasks is at version 9 and needs a Tasker that knows version 7 or newer; \
             this one knows {}: start a newer Tasker",
            ours()
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

/// All steps or none: what fails in the middle leaves the version and the tables as they were.
#[tokio::test]
async fn a_broken_step_leaves_nothing_behind() {
    each_database(|bench| async move {
        let good = SchemaPart { name: "part", steps: &[GOOD] };
        let broken = SchemaPart { name: "part", steps: &[GOOD, BROKEN] };
        broken.migrate(&bench.db).await.unwrap_err();
        good.migrate(&bench.db).await.expect("nothing was made");
        broken.migrate(&bench.db).await.unwrap_err();
        bench.execute("select * from half").await.unwrap_err();
        bench.execute("select * from made").await.expect("the good step stands");
        assert_eq!(bench.number("select version from schema_version where part = 'part'").await, 1);
    })
    .await;
}

#[test]
fn a_database_is_named_by_its_address() {
    let refusal = Db::open("mysql://nowhere").unwrap_err();
    assert_eq!(refusal.to_string(), "a database is named by postgres://… or sqlite:PATH");
}

#[test]
fn a_sqlite_database_is_one_file() {
    for url in ["sqlite::memory:", "sqlite://:memory:", "sqlite:", "sqlite:tasks.db?mode=ro"] {
        let refusal = Db::open(url).unwrap_err().to_string();
        assert!(refusal.starts_with("sqlite:PATH names a file: "), "{url}: {refusal}");
    }
}
