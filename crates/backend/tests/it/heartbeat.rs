//! Heartbeats: their answers name the attempts that a worker must stop, and a worker without them loses its tasks.

use std::time::Duration;

use backend::Settings;
use domain::Ttl;
use serde_json::{Value, json};

use crate::kit::openapi_checked_client::ApiClient;
use crate::kit::test_backend::{on_each_database, on_each_database_with, on_each_database_with_set_clock};

#[tokio::test]
async fn a_heartbeat_is_answered_with_the_attempts_that_the_worker_must_stop() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (runs, cancelled, released) =
            (user.submit_echo().await, user.submit_echo().await, user.submit_echo().await);
        let expired = user.submit(json!({"type": "ECHO", "ttl": 50})).await.id();
        for id in [&runs, &cancelled, &expired] {
            worker.claim_one(id, "w").await;
        }
        let first = worker.claim_one(&released, "w").await;
        worker.report(&first, json!("released")).await;
        worker.claim_one(&released, "w").await;
        user.cancel(&cancelled).await.expect_status(200);
        user.wait_for_end(&expired).await;
        let running = [(&*runs, 1), (&*cancelled, 1), (&*expired, 1), (&*released, 1), (&*released, 2)];
        let response: Value = worker.heartbeat("w", &running).await.ok();
        let mut stop: Vec<(String, u64)> = Vec::new();
        for attempt in response["stop"].as_array().unwrap() {
            stop.push((attempt["id"].as_str().unwrap().to_owned(), attempt["attempt"].as_u64().unwrap()));
        }
        stop.sort();
        let mut expected = vec![(cancelled, 1), (expired, 1), (released.clone(), 1)];
        expected.sort();
        assert_eq!(stop, expected);
        let response: Value = worker.heartbeat("another", &[(&runs, 1)]).await.ok();
        assert_eq!(response["stop"].as_array().unwrap().len(), 1, "the task was granted to another worker");
    })
    .await;
}

#[tokio::test]
async fn workers_are_listed_for_workers_and_not_for_users() {
    on_each_database(async |service| {
        let worker = service.worker();
        worker.heartbeat("b", &[]).await.expect_status(200);
        worker.heartbeat("a", &[]).await.expect_status(200);
        let list: Value = worker.get("/api/Worker").await.ok();
        let workers = list["workers"].as_array().unwrap();
        assert_eq!(workers.len(), 2);
        assert_eq!((&workers[0]["name"], &workers[1]["slots"]), (&json!("a"), &json!(8)));
        assert_eq!(workers[0]["types"], json!(["ECHO"]));
        service.user().get("/api/Worker").await.expect_status(403);
    })
    .await;
}

#[tokio::test]
async fn a_worker_whose_heartbeats_end_loses_its_tasks_and_one_that_never_sent_any_does_not() {
    let adjust = |settings: &mut Settings| {
        settings.worker_lost = Duration::from_millis(300);
        settings.check_period = Duration::from_millis(50);
    };
    on_each_database_with(adjust, async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (lost, kept) = (user.submit_echo().await, user.submit_echo().await);
        worker.heartbeat("silent", &[]).await.expect_status(200);
        let grant = worker.claim_one(&lost, "silent").await;
        worker.claim_by_patch(&kept, "original").await.expect_status(200);
        let task = user.wait_for_end(&lost).await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("WORKER_LOST")));
        assert_eq!(user.task(&kept).await["status"], "RUNNING");
        let live: Value = worker.get("/api/Worker").await.ok();
        assert_eq!(live["workers"], json!([]), "a lost worker is not listed");
        let response: Value = worker.heartbeat("silent", &[(&lost, 1)]).await.ok();
        assert_eq!(response["stop"][0]["id"], *lost);
        assert_eq!(worker.report_as("silent", &grant, json!({"result": 1})).await["reason"], "WORKER_LOST");
    })
    .await;
}

#[tokio::test]
async fn a_heartbeat_ends_the_tasks_of_an_earlier_process() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (lost, kept) = (user.submit_echo().await, user.submit_echo().await);
        let grant = worker.claim_one(&lost, "w").await;
        worker.claim_one(&kept, "another").await;
        let restarted = worker.another_process();
        let restart = async || {
            let response: Value = restarted.heartbeat("w", &[]).await.ok();
            assert_eq!(response["stop"], json!([]));
        };
        let (task, ()) = tokio::join!(user.wait_for_end(&lost), restart());
        restart().await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("WORKER_LOST")));
        assert_eq!(user.task(&kept).await["status"], "RUNNING");
        let settled = worker.report(&grant, json!({"result": 1})).await;
        assert_eq!(settled["reason"], "WORKER_LOST", "the earlier process still runs");
        let new = restarted.claim_one(&user.submit_echo().await, "w").await;
        restart().await;
        assert_eq!(restarted.report(&new, json!({"result": 1})).await, json!({"became": "finished"}));
    })
    .await;
}

#[tokio::test]
async fn a_worker_is_not_lost_by_its_silence_while_the_backend_was_down() {
    let worker_lost = Duration::from_mins(1);
    let start_within = Duration::from_secs(1);
    let adjust = |settings: &mut Settings| {
        settings.worker_lost = worker_lost;
        settings.start_within = Ttl::try_from(1000).unwrap();
        settings.check_period = Duration::from_millis(20);
    };
    on_each_database_with_set_clock(adjust, async |service| {
        let (user, worker) = (service.user(), service.worker());
        worker.heartbeat("w", &[]).await.expect_status(200);
        let running = user.submit(json!({"type": "ECHO", "ttl": 3_600_000})).await.id();
        worker.claim_one(&running, "w").await;
        service.stop.cancel();
        service.advance_clock(2 * worker_lost).await;
        let restarted = service.start_another(adjust).await;
        let user = restarted.with_token(user.token.unwrap());
        let worker = ApiClient { url: &restarted.url, http: &restarted.http, ..worker };
        // A check ends first what nobody has claimed in time, then looks for silent workers: between two such ends lies at
        // least one whole check.
        for _ in 0..2 {
            let unclaimed = user.submit_echo().await;
            service.advance_clock(2 * start_within).await;
            assert_eq!(user.wait_for_end(&unclaimed).await["reason"], "NOT_STARTED");
        }
        let response: Value = worker.heartbeat("w", &[(&running, 1)]).await.ok();
        assert_eq!(response["stop"], json!([]));
        assert_eq!(user.task(&running).await["status"], "RUNNING");
        restarted.shut_down().await;
    })
    .await;
}
