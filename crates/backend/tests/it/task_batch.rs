//! Submitting a batch: all of its tasks are accepted, or none is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kit::openapi_checked_client::{ApiClient, ApiRequest};
use crate::kit::test_backend::{on_each_database, on_each_database_with};

fn submit(user: &ApiClient<'_>, tasks: &Value) -> ApiRequest {
    user.post("/api/Task/batch").json(json!({ "tasks": tasks }))
}

async fn count_tasks(user: &ApiClient<'_>) -> usize {
    user.get("/api/Task").await.ok::<Value>()["tasks"].as_array().unwrap().len()
}

#[tokio::test]
async fn the_tasks_of_a_batch_are_accepted_with_their_own_fields_in_their_order() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let tasks = json!([
            {"type": "ECHO", "parameters": {"big": 9_223_372_036_854_775_807_u64}, "ttl": 5000},
            {"Type": "LOGIN", "parameters": {"length": 5}, "ttl": 6000, "delayMs": 3_600_000},
            {"type": "BRIEF"},
        ]);
        let answer: Value = submit(&user, &tasks).await.expect_status(201).read();
        let ids: Vec<&str> =
            answer["ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        let [first, second, third] = ids[..] else { panic!("{answer}") };
        let task = user.task(first).await;
        assert_eq!((&task["type"], &task["ttl"]), (&json!("ECHO"), &json!(5000)));
        assert_eq!(task["parameters"], tasks[0]["parameters"]);
        assert!(user.task(second).await["notBefore"].is_string());
        assert_eq!(user.task(third).await["ttl"], 1000, "the default of the operation");
        worker.claim_one(first, "w").await;
    })
    .await;
}

#[tokio::test]
async fn a_batch_of_a_thousand_tasks_is_accepted_and_wakes_a_waiting_worker() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let tasks = Value::Array(vec![json!({"type": "ECHO", "ttl": 60_000}); 1000]);
        let claim = worker.claim_by_type(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000);
        let (grants, answer) = tokio::join!(claim.into_future(), submit(&user, &tasks).into_future());
        let answer: Value = answer.expect_status(201).read();
        assert_eq!(answer["ids"].as_array().unwrap().len(), 1000);
        assert_eq!(grants.grants().len(), 1);
        assert_eq!(service.store.counts().await.unwrap().accepted, 1000);
    })
    .await;
}

#[tokio::test]
async fn one_invalid_task_refuses_the_batch_and_every_fault_has_its_index() {
    on_each_database(async |service| {
        let user = service.user();
        let tasks = json!([
            {"type": "ECHO", "ttl": 5000},
            {"type": "ECO", "ttl": 5000},
            {"type": "LOGIN", "parameters": {"length": 0}, "ttl": 0},
            {"type": "ECHO", "tll": 5000},
            7,
            {"type": "ECHO", "parameters": "x".repeat(256 * 1024), "ttl": 5000},
        ]);
        let refused = submit(&user, &tasks).await;
        assert_eq!(refused.problem(), (422, "unknown-type".to_owned()), "the first fault decides");
        let errors: BTreeMap<String, String> = refused.errors();
        let pointers: Vec<&str> = errors.keys().map(String::as_str).collect();
        let expected = [
            "/tasks/1/type",
            "/tasks/2/parameters/length",
            "/tasks/2/ttl",
            "/tasks/3/tll",
            "/tasks/4",
            "/tasks/5/parameters",
        ];
        assert_eq!(pointers, expected, "{errors:?}");
        assert_eq!(count_tasks(&user).await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_batch_is_refused() {
    on_each_database(async |service| {
        let user = service.user();
        let batch = |body: Value| user.post("/api/Task/batch").json(body);
        assert_eq!(submit(&user, &json!([])).await.problem(), (422, "batch-size".to_owned()));
        let many = Value::Array(vec![json!({"type": "ECHO", "ttl": 1}); 1001]);
        let refused = submit(&user, &many).await;
        assert_eq!(refused.problem(), (422, "batch-size".to_owned()));
        assert!(
            refused.text.contains("a batch must have 1 to 1000 tasks; this one has 1001"),
            "{}",
            refused.text
        );
        assert_eq!(batch(json!({})).await.problem(), (422, "tasks-missing".to_owned()));
        assert_eq!(batch(json!([])).await.problem(), (422, "wrong-shape".to_owned()));
        assert_eq!(batch(json!({"tasks": {}})).await.problem(), (422, "wrong-shape".to_owned()));
        let unknown = batch(json!({"tasks": [], "atomic": false})).await;
        assert_eq!(unknown.problem(), (422, "unknown-field".to_owned()));
        assert_eq!(unknown.errors().keys().collect::<Vec<_>>(), ["/atomic"]);
        let large = user.post("/api/Task/batch").body(" ".repeat((8 << 20) + 1)).await;
        assert_eq!(large.problem(), (413, "body-too-large".to_owned()));
        // A hundred faults are enough to see what is wrong with a thousand tasks.
        let wrong = Value::Array(vec![json!({"type": "ECO"}); 1000]);
        assert_eq!(submit(&user, &wrong).await.errors().len(), 100);
    })
    .await;
}

#[tokio::test]
async fn a_batch_is_counted_as_a_whole_by_the_limit_of_unfinished_tasks() {
    let adjust = |settings: &mut backend::Settings| {
        settings.max_unfinished_per_owner = Some(5.try_into().unwrap());
    };
    on_each_database_with(adjust, async |service| {
        let user = service.user();
        let tasks = |count| Value::Array(vec![json!({"type": "ECHO", "ttl": 60_000}); count]);
        assert_eq!(submit(&user, &tasks(6)).await.problem(), (429, "too-many-unfinished".to_owned()));
        submit(&user, &tasks(4)).await.expect_status(201);
        assert_eq!(submit(&user, &tasks(2)).await.problem().0, 429);
        submit(&user, &tasks(1)).await.expect_status(201);
        assert_eq!(count_tasks(&user).await, 5);
    })
    .await;
}

#[tokio::test]
async fn a_repeated_batch_is_answered_with_the_same_ids() {
    on_each_database(async |service| {
        let user = service.user();
        let tasks = json!([{"type": "ECHO", "ttl": 5000}, {"type": "BRIEF"}]);
        let request = |tasks: &Value| submit(&user, tasks).header("Idempotency-Key", "b");
        let (first, second) = tokio::join!(request(&tasks).into_future(), request(&tasks).into_future());
        assert_eq!(first.expect_status(201).text, second.expect_status(201).text);
        let reused = request(&json!([{"type": "BRIEF"}])).await;
        assert_eq!(reused.problem(), (422, "idempotency-key-reused".to_owned()));
        let elsewhere = user.submit(json!({"type": "BRIEF"})).header("Idempotency-Key", "b").await;
        assert_eq!(elsewhere.problem(), (422, "idempotency-key-reused".to_owned()));
        assert_eq!(count_tasks(&user).await, 2);
    })
    .await;
}
