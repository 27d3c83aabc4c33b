//! The requests that the pages about workers in other languages show: sent as they stand there.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{TestBackend, on_each_database};

const BOOK: &str = include_str!("../../../../docs/writing-operations.md");
const ASYNCAPI: &str = include_str!("../../../../docs/asyncapi.yaml");

/// The task of the pages. A test puts the id of a real one in its place.
const TASK_OF_THE_PAGES: &str = "019abe40-7c1e-7d52-8f6a-3f0c5a9be2d1";

/// The blocks ```` ```http ```` of a page: method, path, body.
fn requests(page: &str) -> Vec<(Method, String, String)> {
    let block = |text: &str| {
        let lines: Vec<&str> = text.split("```").next().unwrap().lines().map(str::trim).collect();
        let (head, body) = (lines[1], lines[3]);
        let (method, path) = head.split_once(' ').unwrap();
        (method.parse().unwrap(), path.to_owned(), body.to_owned())
    };
    page.split("```http").skip(1).map(block).collect()
}

async fn send(worker: &ApiClient<'_>, (method, path, body): &(Method, String, String), id: &str) -> Value {
    let body = body.replace(TASK_OF_THE_PAGES, id);
    let answer = worker.call(method.clone(), path).body(body).await;
    if answer.status == 204 { Value::Null } else { answer.ok() }
}

/// Submits a task to the operation that the first request of the book registers.
async fn submit_reverse(service: &TestBackend, user: &ApiClient<'_>) -> String {
    let requests = requests(BOOK);
    send(&service.worker(), &requests[0], "").await;
    user.submit(json!({"type": "REVERSE", "parameters": "hello", "ttl": 60_000})).await.id()
}

#[tokio::test]
async fn the_requests_of_the_book_register_an_operation_and_run_a_task() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = submit_reverse(service, &user).await;
        let mut answers = Vec::new();
        for request in &requests(BOOK) {
            answers.push(send(&worker, request, &id).await);
        }
        let [operation, first, claimed, running, _progress, reported] = &answers[..] else {
            panic!("{answers:?}")
        };
        assert_eq!((&operation["type"], &first["stop"]), (&json!("REVERSE"), &json!([])));
        assert_eq!(claimed["tasks"][0]["id"], json!(id));
        assert!(claimed["maxHeldMs"].as_u64().unwrap() <= 20_000);
        assert_eq!((&running["stop"], &reported[0]["became"]), (&json!([]), &json!("finished")));
        assert_eq!(user.result(&id).await.ok::<Value>(), json!({"result": "olleh"}));
        assert_eq!(user.task(&id).await["progress"]["message"], "2 of 5 letters");
    })
    .await;
}

#[tokio::test]
async fn the_requests_of_the_asyncapi_document_claim_tasks() {
    on_each_database(async |service| {
        let user = service.user();
        let id = submit_reverse(service, &user).await;
        let requests = requests(ASYNCAPI);
        let [by_ids, long_poll] = &requests[..] else { panic!("{requests:?}") };
        let claimed = send(&service.worker(), by_ids, &id).await;
        assert_eq!(claimed["tasks"][0]["id"], json!(id));
        // The long poll is answered at once if a task has been ready for long enough.
        let second = submit_reverse(service, &user).await;
        let claimed = send(&service.worker(), long_poll, &id).await;
        assert_eq!(claimed["tasks"][0]["id"], json!(second));
    })
    .await;
}

#[tokio::test]
async fn a_wait_that_the_settings_cut_is_named_in_the_answer_and_one_beyond_every_setting_is_refused() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let claim = |wait_ms: u64| worker.claim_by_type(uuid::Uuid::new_v4(), "w", "ECHO", 1, wait_ms);
        for wait_ms in [0, 1, 30_000] {
            user.submit_echo().await;
            let claimed: Value = claim(wait_ms).await.ok();
            let max_held = claimed["maxHeldMs"].as_u64().unwrap();
            assert!(max_held == wait_ms || (max_held < wait_ms && wait_ms == 30_000), "{claimed}");
        }
        let refused = claim(30_001).await;
        assert_eq!(refused.problem(), (422, "wait-out-of-range".to_owned()));
        assert_eq!(refused.errors()["/waitMs"], "waitMs must be 0 to 30000 milliseconds");
    })
    .await;
}
