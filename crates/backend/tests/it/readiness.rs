//! Readiness and refusals while the database answers and yet serves no writes: the cause is said in words.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection, Executor, PgConnection};
use testkit::TestDatabase;

use crate::kit::test_backend::TestBackend;
use crate::kit::until::until;

/// Ends every session of this database but the one that executes it.
const END_SESSIONS: &str = "select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()";

async fn detail(service: &TestBackend, path: &str) -> String {
    let answer = service.get(path).await;
    assert_eq!(answer.problem(), (503, "unavailable".to_owned()), "{}", answer.text);
    let problem: Value = serde_json::from_str(&answer.text).unwrap();
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn read_only_sessions_end_after_a_switchover_and_meanwhile_the_backend_is_not_ready() {
    let service = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let name = service.database().url.rsplit_once('/').unwrap().1.to_owned();
    // New sessions are read-only from here on: the server that all sessions lead to has become a standby.
    service.execute_sql(format!("alter database {name} set default_transaction_read_only = on")).await;
    service.execute_sql(END_SESSIONS.to_owned()).await;
    until("the Backend is not ready", async || service.get("/health/ready").await.status == 503).await;
    until("the cause is named", async || {
        let answer = service.get("/health/ready").await;
        answer.text.contains("database of tasks: the database accepts no writes")
    })
    .await;
    let user = service.user();
    let refused = user.submit(json!({"type": "ECHO", "ttl": 1000})).await;
    assert_eq!(refused.problem().0, 503);
    assert!(refused.text.contains("the server has become read-only"), "{}", refused.text);

    // New sessions lead to the new primary. Those of the pools are still read-only.
    let mut admin = PgConnection::connect(&service.database().url).await.unwrap();
    admin.execute("set default_transaction_read_only = off").await.unwrap();
    let reset = format!("alter database {name} reset default_transaction_read_only");
    admin.execute(sqlx::AssertSqlSafe(reset)).await.unwrap();
    until("the Backend is ready again", async || service.get("/health/ready").await.status == 200).await;
    user.submit_echo().await;
    service.finish().await;
}

#[tokio::test]
async fn a_locked_table_is_named_by_readiness_and_by_the_refusal_of_a_request() {
    let short = |settings: &mut backend::Settings| settings.request_timeout = Duration::from_mins(1);
    let service = TestBackend::start(TestDatabase::postgres().await, short).await;
    let mut other = PgConnection::connect(&service.database().url).await.unwrap();
    other.execute("begin; lock table task in access exclusive mode").await.unwrap();
    let ready = detail(&service, "/health/ready").await;
    assert_eq!(
        ready,
        "requests cannot be served: database of tasks: the database is locked by another session"
    );
    let user = service.user();
    let refused = user.submit(json!({"type": "ECHO", "ttl": 1000})).await;
    assert_eq!(refused.problem().0, 503);
    assert!(refused.text.contains("the database is locked by another session"), "{}", refused.text);
    assert_eq!(refused.header("retry-after"), Some("5"));
    other.execute("rollback").await.unwrap();
    until("the Backend is ready again", async || service.get("/health/ready").await.status == 200).await;
    service.finish().await;
}

#[tokio::test]
async fn a_full_disk_is_named_by_readiness_and_by_the_refusal_of_a_request() {
    let service = TestBackend::start(TestDatabase::postgres().await, |_| {}).await;
    let full = "create function full_disk() returns trigger language plpgsql as $$
        begin raise exception 'could not extend file' using errcode = '53100'; end $$;
        create trigger full_disk before insert on task execute function full_disk();
        create trigger full_disk before insert on readiness execute function full_disk()";
    service.execute_sql(full.to_owned()).await;
    until("readiness names the disk", async || {
        let answer = service.get("/health/ready").await;
        answer.status == 503 && answer.text.contains("the database has no free disk space")
    })
    .await;
    let refused = service.user().submit(json!({"type": "ECHO", "ttl": 1000})).await;
    assert_eq!(refused.problem().0, 503);
    assert!(refused.text.contains("the database has no free disk space"), "{}", refused.text);
    assert_eq!(refused.header("retry-after"), Some("30"));
    service.execute_sql("drop function full_disk cascade".to_owned()).await;
    until("the Backend is ready again", async || service.get("/health/ready").await.status == 200).await;
    service.finish().await;
}

#[tokio::test]
async fn a_file_that_another_process_has_locked_is_not_ready() {
    let service = TestBackend::start(TestDatabase::sqlite(), |_| {}).await;
    let mut other = sqlx::SqliteConnection::connect(&service.database().url).await.unwrap();
    other.execute("begin immediate").await.unwrap();
    let ready = detail(&service, "/health/ready").await;
    assert_eq!(ready, "requests cannot be served: database of tasks: the database did not answer in time");
    other.execute("rollback").await.unwrap();
    until("the Backend is ready again", async || service.get("/health/ready").await.status == 200).await;
    service.finish().await;
}
