//! Tasks that are tried more than once, the time of all their attempts, and priorities.

use std::time::Duration;

use domain::{Grant, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{on_each_database, on_each_database_with_set_clock};

/// A task that is tried three times, with pauses that a test need not wait for.
fn task_with(options: &Value) -> Value {
    let mut task = json!({"type": "ECHO", "ttl": 5000, "maxAttempts": 3, "retry": {"backoffMs": 0}});
    task.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    task
}

fn check_often(settings: &mut backend::Settings) {
    settings.check_period = Duration::from_millis(20);
}

async fn claim(worker: &ApiClient<'_>) -> Grant {
    let grants = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants();
    grants.into_iter().next().expect("a task is ready in time")
}

async fn attempts(user: &ApiClient<'_>, id: &str) -> Vec<(u64, Value, Value)> {
    let list: Value = user.get(&format!("/api/Task/{id}/attempts")).await.ok();
    let attempts = list["attempts"].as_array().unwrap().iter();
    attempts.map(|one| (one["attempt"].as_u64().unwrap(), one["end"].clone(), one["error"].clone())).collect()
}

#[tokio::test]
async fn a_failed_attempt_is_followed_by_another_and_each_is_kept() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit(task_with(&json!({}))).await.id();
        let first = claim(&worker).await;
        let settled = worker.report(&first, json!({"error": "no luck"})).await;
        assert_eq!((&settled["became"], &settled["reason"]), (&json!("retried"), &json!("OPERATION_FAILED")));
        let second = claim(&worker).await;
        assert_eq!((second.id.to_string(), second.attempt), (id.clone(), 2));
        assert_eq!(worker.report(&first, json!({"result": 1})).await["became"], "stale");
        assert_eq!(worker.report(&second, json!("released")).await["became"], "released");
        let third = claim(&worker).await;
        assert_eq!(worker.report(&third, json!({"result": {"say": 1}})).await["became"], "finished");
        let task = user.task(&id).await;
        assert_eq!((&task["status"], &task["maxAttempts"]), (&json!("FINISHED"), &json!(3)));
        let expected = [
            (1, json!("OPERATION_FAILED"), json!("no luck")),
            (2, json!("RELEASED"), Value::Null),
            (3, json!("FINISHED"), Value::Null),
        ];
        assert_eq!(attempts(&user, &id).await, expected);
        let other = service.with_token(service.issuer.token(&Uuid::new_v4().to_string(), &["User"]));
        other.get(&format!("/api/Task/{id}/attempts")).await.expect_status(404);
    })
    .await;
}

#[tokio::test]
async fn when_no_try_is_left_the_task_ends_with_the_reason_of_its_last_attempt() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit(task_with(&json!({"maxAttempts": 2}))).await.id();
        for became in ["retried", "cancelled"] {
            let grant = claim(&worker).await;
            assert_eq!(worker.report(&grant, json!({"error": "again"})).await["became"], became);
        }
        let task = user.wait_for_end(&id).await;
        assert_eq!((&task["reason"], &task["error"]), (&json!("OPERATION_FAILED"), &json!("again")));
        assert_eq!(attempts(&user, &id).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn an_operation_can_refuse_another_attempt_or_name_the_pause() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let patient = json!({"retry": {"backoffMs": 3_600_000}});
        let id = user.submit(task_with(&patient)).await.id();
        let first = claim(&worker).await;
        let hinted = |grant: &Grant, hint: Value| {
            let mut report = json!({"id": grant.id, "type": grant.type_name, "attempt": grant.attempt, "claim": grant.claim,
                "reported": {"error": "busy"}});
            report["retry"] = hint;
            worker.post("/api/Task/results").json(json!({"worker": "w", "reports": [report]}))
        };
        let settled: Value = hinted(&first, json!({"afterMs": 1})).await.ok();
        assert_eq!(settled[0]["became"], "retried");
        let second = claim(&worker).await;
        let settled: Value = hinted(&second, json!("never")).await.ok();
        assert_eq!(settled[0], json!({"became": "cancelled", "reason": "OPERATION_FAILED"}));
        assert_eq!(user.task(&id).await["status"], "CANCELLED");
    })
    .await;
}

#[tokio::test]
async fn only_the_named_reasons_lead_to_another_attempt() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let only_lost = json!({"retry": {"backoffMs": 0, "on": ["WORKER_LOST"]}});
        user.submit(task_with(&only_lost)).await.id();
        let grant = claim(&worker).await;
        assert_eq!(worker.report(&grant, json!({"error": "no"})).await["became"], "cancelled");
    })
    .await;
}

#[tokio::test]
async fn an_expired_attempt_is_tried_again_after_its_pause() {
    on_each_database_with_set_clock(check_often, async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit(task_with(&json!({"retry": {"backoffMs": 60_000}}))).await.id();
        let grants = worker.claim_by_ids(Uuid::new_v4(), "w", &[&id]).await.grants();
        assert_eq!(grants.len(), 1);
        service.advance_clock(Duration::from_millis(5001)).await;
        crate::kit::until::until("the attempt has expired", async || {
            user.task(&id).await["status"] == "CREATED"
        })
        .await;
        let waiting = user.task(&id).await;
        assert_eq!((&waiting["startDate"], &waiting["workerName"]), (&Value::Null, &Value::Null));
        let ready: Timestamp = serde_json::from_value(waiting["notBefore"].clone()).unwrap();
        let pause = ready.micros_since(service.store.now());
        assert!((30_000_000..=60_000_000).contains(&pause), "up to half of the pause is jitter: {pause}");
        service.advance_clock(Duration::from_secs(61)).await;
        assert_eq!(claim(&worker).await.attempt, 2);
        assert_eq!(attempts(&user, &id).await[0].1, "TTL_EXPIRED");
    })
    .await;
}

#[tokio::test]
async fn an_attempt_runs_no_longer_than_what_is_left_for_all_attempts() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit(task_with(&json!({"totalTtlMs": 3000}))).await.id();
        let first = claim(&worker).await;
        assert!(first.remaining_ms <= 3000, "{first:?}");
        worker.report(&first, json!({"error": "no"})).await;
        let second = claim(&worker).await;
        assert!(second.remaining_ms < 3000, "{second:?}");
        let task = user.task(&id).await;
        let date = |field: &str| serde_json::from_value::<Timestamp>(task[field].clone()).unwrap();
        assert!(date("deadline").micros_since(date("startDate")) < 3_000_000, "{task}");
        assert_eq!(user.wait_for_end(&id).await["reason"], "TTL_EXPIRED");
    })
    .await;
}

#[tokio::test]
async fn of_the_ready_tasks_of_a_type_the_most_urgent_are_granted_first() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let mut ids = Vec::new();
        for priority in [0, 4, 9, 4, 5] {
            let task = json!({"type": "ECHO", "ttl": 60_000, "priority": priority});
            ids.push((priority, user.submit(task).await.id()));
        }
        assert_eq!(user.task(&ids[2].1).await["priority"], 9);
        let mut order = Vec::new();
        for _ in 0..5 {
            let grant = claim(&worker).await;
            order.push(ids.iter().position(|(_, id)| *id == grant.id.to_string()).unwrap());
        }
        assert_eq!(order, [2, 4, 1, 3, 0]);
    })
    .await;
}

#[tokio::test]
async fn an_urgent_task_that_another_backend_has_accepted_is_granted_first() {
    on_each_database(async |service| {
        if !service.is_postgres() {
            return;
        }
        let other = service.start_another(|_| {}).await;
        service.peer_connection_is_up().await;
        let (user, worker) = (other.user(), service.worker());
        let ordinary = json!({"type": "ECHO", "ttl": 60_000});
        user.submit(ordinary.clone()).await.id();
        assert_eq!(worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants().len(), 1);
        user.submit(ordinary).await.id();
        let urgent = user.submit(json!({"type": "ECHO", "ttl": 60_000, "priority": 9})).await.id();
        crate::kit::until::until("the other Backend's priority is known", async || {
            service
                .store
                .ready_tasks(&["ECHO".parse().unwrap()], service.store.now(), 10)
                .await
                .unwrap()
                .len()
                == 2
        })
        .await;
        assert_eq!(claim(&worker).await.id.to_string(), urgent);
        other.finish().await;
    })
    .await;
}

#[tokio::test]
async fn an_operation_has_defaults_and_maxima_for_its_submissions() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let operation = json!({"type": "CAREFUL", "parameters": {}, "result": {},
            "defaults": {"priority": 7, "maxAttempts": 4, "retry": {"backoffMs": 5, "on": ["WORKER_LOST"]}, "startWithinMs": 9000},
            "maxima": {"priority": 8, "maxAttempts": 5, "startWithinMs": 10_000, "totalTtlMs": 20_000, "delayMs": 1000,
                "backoffMs": 100}});
        worker.put("/api/Operation/CAREFUL").json(operation).await.expect_status(200);
        let id = user.submit(json!({"type": "CAREFUL", "ttl": 1000})).await.id();
        let task = user.task(&id).await;
        assert_eq!((&task["priority"], &task["maxAttempts"]), (&json!(7), &json!(4)));
        let retry = json!({"maxAttempts": 4, "backoffMs": 5, "factor": 2.0, "maxBackoffMs": 100, "on": ["WORKER_LOST"]});
        assert_eq!(task["retry"], retry);
        let greedy = json!({"type": "CAREFUL", "ttl": 1000, "priority": 9, "maxAttempts": 6, "startWithinMs": 10_001,
            "totalTtlMs": 20_001, "delayMs": 5000, "retry": {"backoffMs": 101}});
        let errors = user.submit(greedy).await.expect_status(422).errors();
        let pointers: Vec<&str> = errors.keys().map(String::as_str).collect();
        let expected =
            ["/delayMs", "/maxAttempts", "/priority", "/retry/backoffMs", "/startWithinMs", "/totalTtlMs"];
        assert_eq!(pointers, expected);
        assert_eq!(errors["/priority"], "priority must be at most 8 for CAREFUL");
    })
    .await;
}

#[tokio::test]
async fn invalid_options_are_refused_with_their_field_and_rule() {
    on_each_database(async |service| {
        let user = service.user();
        for (field, value, pointer, part) in [
            ("priority", json!(10), "/priority", "0 to 9"),
            ("priority", json!("high"), "/priority", "whole number"),
            ("maxAttempts", json!(0), "/maxAttempts", "1 to 100"),
            ("maxAttempts", json!(101), "/maxAttempts", "1 to 100"),
            ("totalTtlMs", json!(0), "/totalTtlMs", "1 to 31622400000"),
            ("retry", json!([]), "/retry", "an object"),
            ("retry", json!({"backofMs": 1}), "/retry/backofMs", "backoffMs"),
            ("retry", json!({"backoffMs": -1}), "/retry/backoffMs", "0 to 31622400000"),
            ("retry", json!({"factor": 0.5}), "/retry/factor", "1 to 100"),
            ("retry", json!({"maxBackoffMs": "1h"}), "/retry/maxBackoffMs", "whole number"),
            ("retry", json!({"on": "WORKER_LOST"}), "/retry/on", "a list"),
            ("retry", json!({"on": ["WORKER_LOST", "REQUESTED"]}), "/retry/on/1", "OPERATION_FAILED"),
        ] {
            let errors = user.submit(json!({"type": "ECHO", "ttl": 5000, field: value})).await;
            let errors = errors.expect_status(422).errors();
            assert!(errors[pointer].contains(part), "{errors:?}");
            assert_eq!(errors.len(), 1, "{errors:?}");
        }
    })
    .await;
}
