//! The whole system through its public interfaces: one process on SQLite, and a process for each service on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use domain::{Reason, Status};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::kit::api_client::ApiClient;
use crate::kit::cluster::Cluster;
use crate::kit::service_urls::ServiceUrls;
use crate::kit::tasker_up::TaskerUp;

#[tokio::test]
async fn one_process_on_sqlite_serves_users_from_submission_to_result() {
    let up = TaskerUp::start();
    assert_serves_users(&up.urls()).await;
    assert!(up.stop().1.success());
}

#[tokio::test]
async fn a_process_for_each_service_and_two_workers_on_postgresql_serve_users_from_submission_to_result() {
    let mut cluster = Cluster::start(2, 8).await;
    assert_serves_users(&cluster.urls()).await;
    cluster.stop();
}

/// Asserts what a user may expect of a running Tasker, whichever processes it consists of. Leaves the account `ann`.
pub async fn assert_serves_users(urls: &ServiceUrls) {
    let ann = ApiClient::register(urls, "ann").await;
    let bob = ApiClient::register(urls, "bob").await;

    // A task that finishes, and its result.
    let login = ann.submit("GENERATE_LOGIN", json!({"length": 12}), 30_000).await;
    let task = ann.wait_until_ended(login).await;
    assert_eq!(task.status, Status::Finished, "{task:?}");
    assert!(task.start_date <= task.end_date && task.end_date <= task.deadline, "{task:?}");
    let result: Value = ann.read_result(login).await.json().await.unwrap();
    assert_eq!(result["result"].as_str().map(str::len), Some(12));
    let number = ann.submit_and_wait("GENERATE_NUMBER", Value::Null, 30_000).await;
    assert_eq!(number.status, Status::Finished, "{number:?}");
    let result: Value = ann.read_result(number.id).await.json().await.unwrap();
    assert!((10_000_000..100_000_000).contains(&result["result"].as_u64().unwrap()), "{result}");

    // A task that expires.
    let sleep = ann.submit("SLEEP", json!({"ms": 3_600_000}), 300).await;
    let task = ann.wait_until_ended(sleep).await;
    assert_eq!((task.status, task.reason), (Status::Cancelled, Some(Reason::TtlExpired)));
    assert_eq!(ann.read_result(sleep).await.status(), StatusCode::NOT_FOUND);

    // A submission that is refused.
    let refusal = ann.try_submit("GENERATE_LOGIN", json!({"lenght": 12}), 5000).await.unwrap();
    assert_eq!(refusal.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let refusal: Value = refusal.json().await.unwrap();
    assert_eq!(refusal["errors"][0]["pointer"], "/parameters/lenght");

    // A task that is cancelled.
    let cancelled = ann.submit("SLEEP", json!({"ms": 3_600_000}), 600_000).await;
    assert_eq!(ann.cancel(cancelled).await.status(), StatusCode::OK);
    assert_eq!(ann.read_task(cancelled).await.reason, Some(Reason::Requested));

    // Another user sees nothing of these tasks.
    assert_eq!(ann.list_tasks().await.tasks.len(), 4);
    assert!(bob.list_tasks().await.tasks.is_empty());
    let foreign = bob.get(&format!("/api/Task/{login}")).await;
    let absent = bob.get("/api/Task/00000000-0000-7000-8000-000000000000").await;
    assert_eq!((foreign.status(), absent.status()), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(without_request_id(foreign).await, without_request_id(absent).await);
}

/// A problem as it is for any request: `instance` is the id of this one.
async fn without_request_id(response: reqwest::Response) -> Value {
    let mut problem: Value = response.json().await.unwrap();
    assert!(problem["instance"].take().is_string());
    problem
}
