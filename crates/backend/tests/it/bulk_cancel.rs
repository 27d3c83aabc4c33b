//! A user cancels all own tasks that meet conditions.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::{ApiClient, ApiResponse};
use crate::kit::test_backend::on_each_database;

async fn cancel(user: &ApiClient<'_>, conditions: Value) -> ApiResponse {
    user.post("/api/Task/cancel").json(conditions).await
}

#[tokio::test]
async fn all_unfinished_tasks_of_the_caller_that_meet_the_conditions_are_cancelled() {
    on_each_database(async |service| {
        let (user, other_user, worker) = (service.user(), service.user(), service.worker());
        let (running, waiting, ended) =
            (user.submit_echo().await, user.submit_echo().await, user.submit_echo().await);
        worker.claim_one(&running, "w").await;
        let grant = worker.claim_one(&ended, "w").await;
        worker.report(&grant, json!({"result": 1})).await;
        let brief = user.submit(json!({"type": "BRIEF"})).await.id();
        let foreign = other_user.submit_echo().await;
        let status = async |id: &String| user.task(id).await["status"].clone();

        for conditions in [
            json!({"type": "LOGIN"}),
            json!({"createdAfter": "2100-01-01T00:00:00Z"}),
            json!({"createdBefore": "1970-01-01T00:00:00Z", "status": "CREATED"}),
        ] {
            let answer: Value = cancel(&user, conditions).await.ok();
            assert_eq!(answer, json!({"cancelled": 0, "hasMore": false}));
        }
        let answer: Value = cancel(&user, json!({"status": "CREATED", "type": "ECHO"})).await.ok();
        assert_eq!(answer, json!({"cancelled": 1, "hasMore": false}));
        assert_eq!((status(&waiting).await, status(&running).await), (json!("CANCELLED"), json!("RUNNING")));
        assert_eq!(user.task(&waiting).await["reason"], "REQUESTED");
        let answer: Value = cancel(&user, json!({"createdBefore": "2100-01-01T00:00:00Z"})).await.ok();
        assert_eq!(answer, json!({"cancelled": 2, "hasMore": false}));
        assert_eq!((status(&brief).await, status(&running).await), (json!("CANCELLED"), json!("CANCELLED")));
        assert_eq!(status(&ended).await, "FINISHED");
        assert_eq!(other_user.task(&foreign).await["status"], "CREATED");
    })
    .await;
}

/// The requests that wait for the end of such a task are answered.
#[tokio::test]
async fn a_request_that_waits_for_a_task_is_answered_when_it_is_cancelled_by_conditions() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit_echo().await;
        let (task, answer) =
            tokio::join!(user.wait_for_end(&id), cancel(&user, json!({"status": "CREATED"})));
        assert_eq!(answer.ok::<Value>()["cancelled"], 1);
        assert_eq!(task["status"], "CANCELLED");
    })
    .await;
}

/// A request cancels at most 10,000 tasks, and says that there are more.
#[tokio::test]
async fn a_request_that_cancels_many_tasks_says_that_there_are_more() {
    on_each_database(async |service| {
        let owner = Uuid::new_v4();
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        for _ in 0..6 {
            service.submit_to_store(owner, "ECHO", 2000).await;
        }
        let first: Value = cancel(&user, json!({"type": "ECHO"})).await.ok();
        assert_eq!(first["hasMore"], true);
        let (mut cancelled, mut last) = (first["cancelled"].as_u64().unwrap(), first);
        assert!(cancelled <= 10_000, "{cancelled}");
        while last["hasMore"] == true {
            last = cancel(&user, json!({"type": "ECHO"})).await.ok();
            cancelled += last["cancelled"].as_u64().unwrap();
        }
        assert_eq!(cancelled, 12_000);
    })
    .await;
}

#[tokio::test]
async fn an_invalid_condition_is_named_and_nothing_is_cancelled() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit_echo().await;
        for (conditions, pointer, rule) in [
            (json!({}), "", "at least one condition"),
            (json!({"status": "FINISHED"}), "/status", "CREATED or RUNNING"),
            (json!({"status": "DONE"}), "/status", "CREATED or RUNNING"),
            (json!({"type": 5}), "/type", "letters, digits"),
            (json!({"type": "ECO"}), "/type", "did you mean ECHO?"),
            (json!({"createdAfter": "yesterday"}), "/createdAfter", "RFC 3339"),
            (json!({"createdBefore": null}), "/createdBefore", "RFC 3339"),
            (json!({"owner": "me", "type": "ECHO"}), "/owner", "no condition"),
        ] {
            let answer = cancel(&user, conditions.clone()).await.expect_status(422);
            let errors = answer.errors();
            assert!(errors[pointer].contains(rule), "{conditions}: {errors:?}");
        }
        assert_eq!(cancel(&user, json!([])).await.status, 422);
        assert_eq!(user.task(&id).await["status"], "CREATED");
    })
    .await;
}
