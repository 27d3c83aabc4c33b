//! Submitting the content of a task again.

use serde_json::{Value, json};

use crate::kit::openapi_checked_client::{ApiClient, ApiRequest};
use crate::kit::test_backend::on_each_database;

fn rerun(user: &ApiClient<'_>, id: &str) -> ApiRequest {
    user.post(&format!("/api/Task/{id}/rerun"))
}

#[tokio::test]
async fn a_rerun_is_a_new_task_of_the_same_content() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let odd = r#"{ "big": 9223372036854775807,  "e": 1.0e2, "nul": "\u0000" }"#;
        let body = format!(
            r#"{{"type": "ECHO", "parameters": {odd}, "ttl": 7000, "startWithinMs": 90000, "delayMs": 3600000}}"#
        );
        let id = user.post("/api/Task").body(body).await.id();
        user.cancel(&id).await.expect_status(200);
        let accepted = rerun(&user, &id).await.expect_status(201);
        let again: String = accepted.read();
        assert_eq!(accepted.header("location").unwrap(), format!("/api/Task/{again}"));
        assert_ne!(again, id);
        let task = user.get(&format!("/api/Task/{again}")).await;
        assert!(task.text.contains(odd), "{}", task.text);
        let task: Value = task.ok();
        assert_eq!((&task["ttl"], &task["status"]), (&json!(7000), &json!("CREATED")));
        assert_eq!((&task["rerunOf"], &task["notBefore"]), (&json!(id), &Value::Null));
        worker.claim_one(&again, "w").await;
        let third = rerun(&user, &again).prefer("return=representation").await.expect_status(201);
        assert_eq!(third.read::<Value>()["rerunOf"], json!(again));
        assert_eq!(user.task(&id).await["rerunOf"], Value::Null);
    })
    .await;
}

#[tokio::test]
async fn a_rerun_that_waits_is_answered_when_its_task_has_ended() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        user.cancel(&id).await.expect_status(200);
        let work = async {
            let grants = worker.claim_by_type(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants();
            worker.report(&grants[0], json!({"result": 42})).await
        };
        let (answer, _) = tokio::join!(rerun(&user, &id).prefer("wait=30").into_future(), work);
        let ended: Value = answer.expect_status(201).read();
        assert_eq!((&ended["status"], &ended["rerunOf"]), (&json!("FINISHED"), &json!(id)));
    })
    .await;
}

#[tokio::test]
async fn a_rerun_is_checked_against_the_operation_of_today() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let operation = |version: u32, parameters: Value| {
            let body = json!({"type": "NEW", "version": version, "parameters": parameters, "result": {}});
            worker.put("/api/Operation/NEW").json(body)
        };
        assert!(operation(1, json!({})).await.status < 300);
        let id = user.submit(json!({"type": "NEW", "parameters": {"n": 1}, "ttl": 5000})).await.id();
        let strict = json!({"type": "object", "properties": {"n": {"type": "string"}}});
        assert!(operation(2, strict).await.status < 300);
        let refused = rerun(&user, &id).await;
        assert_eq!(refused.problem().0, 422);
        assert!(refused.errors().contains_key("/parameters/n"), "{:?}", refused.errors());
    })
    .await;
}

#[tokio::test]
async fn a_repeated_rerun_makes_one_task_and_a_foreign_task_is_absent() {
    on_each_database(async |service| {
        let (user, other) = (service.user(), service.user());
        let (id, second) = (user.submit_echo().await, user.submit_echo().await);
        let request = || rerun(&user, &id).header("Idempotency-Key", "r");
        let first = request().await.id();
        let repeated = request().await;
        assert_eq!(repeated.header("idempotent-replayed"), Some("true"));
        assert_eq!(repeated.id(), first);
        let reused = rerun(&user, &second).header("Idempotency-Key", "r").await;
        assert_eq!(reused.problem(), (422, "idempotency-key-reused".to_owned()));
        assert_eq!(rerun(&other, &id).await.problem(), (404, "no-such-task".to_owned()));
        let absent = uuid::Uuid::nil().to_string();
        assert_eq!(rerun(&user, &absent).await.problem(), (404, "no-such-task".to_owned()));
        assert_eq!(service.store.counts().await.unwrap().accepted, 3);
    })
    .await;
}
