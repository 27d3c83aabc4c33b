//! When the work of an attempt has stopped, as its worker says after a cancellation or the deadline.

use serde_json::{Value, json};

use crate::kit::openapi_checked_client::{ApiClient, ApiRequest};
use crate::kit::test_backend::on_each_database;

/// A heartbeat which says that the work of the first attempts of these tasks has stopped.
fn stopped(worker: &ApiClient<'_>, name: &str, ids: &[&str]) -> ApiRequest {
    let stopped: Vec<Value> = ids.iter().map(|id| json!({"id": id, "attempt": 1})).collect();
    let body = json!({"worker": name, "instance": worker.instance, "slots": 1, "types": [], "running": [], "stopped": stopped});
    worker.post("/api/Worker/heartbeat").json(body)
}

#[tokio::test]
async fn a_task_shows_when_the_work_of_its_attempt_has_stopped() {
    on_each_database(async |service| {
        let (user, worker, other) = (service.user(), service.worker(), service.worker());
        let (cancelled, finished) = (user.submit_echo().await, user.submit_echo().await);
        let expired = user.submit(json!({"type": "ECHO", "ttl": 50})).await.id();
        worker.claim_one(&cancelled, "w").await;
        worker.claim_one(&expired, "w").await;
        let grant = worker.claim_one(&finished, "w").await;
        worker.report(&grant, json!({"result": 1})).await;
        let task = user.task(&finished).await;
        assert_eq!(task["stoppedDate"], task["endDate"], "the report is the end of the work");

        user.cancel(&cancelled).await.expect_status(200);
        user.wait_for_end(&expired).await;
        stopped(&other, "another", &[&cancelled]).await.expect_status(200);
        for id in [&cancelled, &expired] {
            assert_eq!(user.task(id).await["stoppedDate"], Value::Null, "its worker has not said so");
        }
        stopped(&worker, "w", &[&cancelled, &expired]).await.expect_status(200);
        let first = user.task(&cancelled).await;
        assert!(first["stoppedDate"].as_str().unwrap() >= first["endDate"].as_str().unwrap(), "{first}");
        stopped(&worker, "w", &[&cancelled]).await.expect_status(200);
        assert_eq!(user.task(&cancelled).await, first, "said once");
        let late = user.submit_echo().await;
        worker.claim_one(&late, "w").await;
        user.cancel(&late).await.expect_status(200);
        let told = json!({"id": late, "attempt": 1, "agoMs": 600_000});
        let body = json!({"worker": "w", "instance": worker.instance, "slots": 1, "types": [], "running": [], "stopped": [told]});
        worker.post("/api/Worker/heartbeat").json(body).await.expect_status(200);
        let late = user.task(&late).await;
        let minute = |member: &str| late[member].as_str().unwrap()[..16].to_owned();
        assert!(minute("stoppedDate") < minute("creationDate"), "ten minutes before the heartbeat: {late}");
        assert!(user.task(&expired).await["stoppedDate"].is_string());

        let too_many = vec![&*cancelled; 20_001];
        let refused = stopped(&worker, "w", &too_many).await.expect_status(422);
        assert_eq!(refused.errors()["/stopped"], "at most 20000 tasks");
    })
    .await;
}
