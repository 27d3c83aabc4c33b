//! The whole system through its public doors: one process on SQLite, and one process a role on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use domain::{Reason, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::kit::cluster::Cluster;
use crate::kit::person::{Addresses, Person};
use crate::kit::process::Up;

#[tokio::test]
async fn one_process_on_sqlite_serves_as_promised() {
    let up = Up::start();
    serves_as_promised(&up.addresses()).await;
    assert!(up.stop().1.success());
}

#[tokio::test]
async fn a_process_for_each_role_and_two_workers_on_postgresql_serve_as_promised() {
    let mut cluster = Cluster::start(2, 8).await;
    serves_as_promised(&cluster.addresses()).await;
    cluster.stop();
}

/// What anybody may expect of a running Tasker, however it is put together.
pub async fn serves_as_promised(at: &Addresses) {
    let ann = Person::register(at, "ann").await;
    let bob = Person::register(at, "bob").await;

    // Submit, run, read.
    let login = ann.submit("GENERATE_LOGIN", json!({"length": 12}), 30_000).await;
    let task = ann.ended(login).await;
    assert_eq!(task.status, Status::Finished, "{task:?}");
    assert!(task.start_date <= task.end_date && task.end_date <= task.deadline, "{task:?}");
    let result: Value = ann.result(login).await.json().await.unwrap();
    assert_eq!(result["result"].as_str().map(str::len), Some(12));
    let number = ann.submitted_and_ended("GENERATE_NUMBER", Value::Null, 30_000).await;
    assert_eq!(number.status, Status::Finished, "{number:?}");
    let result: Value = ann.result(number.id).await.json().await.unwrap();
    assert!((10_000_000..100_000_000).contains(&result["result"].as_u64().unwrap()), "{result}");

    // Expire.
    let sleeper = ann.submit("SLEEP", json!({"ms": 3_600_000}), 300).await;
    let task = ann.ended(sleeper).await;
    assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::TtlExpired)));
    assert_eq!(ann.result(sleeper).await.status(), StatusCode::NOT_FOUND);

    // Be refused.
    let refusal = ann.try_submit("GENERATE_LOGIN", json!({"lenght": 12}), 5000).await.unwrap();
    assert_eq!(refusal.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let refusal: Value = refusal.json().await.unwrap();
    assert_eq!(refusal["errors"][0]["pointer"], "/parameters/lenght");

    // Cancel.
    let cancelled = ann.submit("SLEEP", json!({"ms": 3_600_000}), 600_000).await;
    assert_eq!(ann.cancel(cancelled).await.status(), StatusCode::OK);
    assert_eq!(ann.task(cancelled).await.reason, Some(Reason::Requested));

    // To each his own.
    assert_eq!(ann.tasks().await.tasks.len(), 4);
    assert!(bob.tasks().await.tasks.is_empty());
    let foreign = bob.get(&format!("/api/Task/{login}")).await;
    let absent = bob.get("/api/Task/00000000-0000-7000-8000-000000000000").await;
    assert_eq!((foreign.status(), absent.status()), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(foreign.bytes().await.unwrap(), absent.bytes().await.unwrap());
}
