//! A graceful shutdown: requests that wait are answered at once, and the service returns.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::step_observers::{ClaimQueries, LogCapture};
use crate::kit::test_backend::on_each_database;
use crate::kit::until::until;

#[tokio::test]
async fn a_shutdown_answers_every_waiting_request_and_the_service_returns() {
    let (queries, log) = (ClaimQueries::new(), LogCapture::default());
    let _guards = (metrics::set_default_local_recorder(&queries), log.install("backend=trace"));
    on_each_database(async |service| {
        let stopping = service.start_another(|_| {}).await;
        let (user, worker) = (stopping.user(), stopping.worker());
        let id = user.submit_echo().await;
        worker.claim_one(&id, "w").await;
        let before = queries.finished();
        let wait = user.get(&format!("/api/Task/{id}")).prefer("wait=60").into_future();
        let submit = user.submit(json!({"type": "BRIEF"})).prefer("wait=60").into_future();
        let claim = worker.claim_by_type(Uuid::new_v4(), "w", "ECHO", 1, 30_000).into_future();
        let stop = async {
            log.request_waits_for_end_of(&id).await;
            queries.more_than(before).await;
            let tasks = async || user.get("/api/Task").await.ok::<Value>()["tasks"].clone();
            until("the second task is accepted", async || tasks().await[1].is_object()).await;
            log.request_waits_for_end_of(tasks().await[0]["id"].as_str().unwrap()).await;
            stopping.stop.cancel();
        };
        let (waited, submitted, claimed, ()) = tokio::join!(wait, submit, claim, stop);
        assert_eq!(waited.ok::<Value>()["status"], "RUNNING");
        assert_eq!(submitted.expect_status(201).read::<Value>()["status"], "CREATED");
        assert!(claimed.grants().is_empty());
        stopping.shut_down().await;
    })
    .await;
}
