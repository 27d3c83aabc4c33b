//! Cancelling a task: a task that is answered as cancelled never finishes.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn a_task_is_cancelled_once_and_a_repeated_cancel_is_answered_alike() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (waiting, running) = (user.submit_echo().await, user.submit_echo().await);
        let grant = worker.claim_one(&running, "w").await;
        for id in [&waiting, &running] {
            let first = user.cancel(id).await.expect_status(200);
            let task: Value = first.read();
            assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("REQUESTED")));
            assert!(task["endDate"].is_string());
            assert_eq!(user.cancel(id).await.expect_status(200).text, first.text);
        }
        let settled = worker.report(&grant, json!({"result": 1})).await;
        assert_eq!(settled, json!({"became": "cancelled", "reason": "REQUESTED"}));
        assert_eq!(worker.claim_by_patch(&waiting, "w").await.problem(), (409, "not-granted".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_task_that_has_ended_otherwise_cannot_be_cancelled() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (done, failed) = (user.submit_echo().await, user.submit_echo().await);
        let grant = worker.claim_one(&done, "w").await;
        worker.report(&grant, json!({"result": 1})).await;
        let grant = worker.claim_one(&failed, "w").await;
        worker.report(&grant, json!({"error": "no"})).await;
        for (id, status, reason) in
            [(&done, "FINISHED", json!(null)), (&failed, "CANCELLED", json!("OPERATION_FAILED"))]
        {
            let answer = user.cancel(id).await;
            assert_eq!(answer.problem(), (409, "already-ended".to_owned()));
            let problem: Value = answer.read();
            assert_eq!((&problem["taskStatus"], &problem["reason"]), (&json!(status), &reason));
        }
        assert_eq!(
            user.cancel(&Uuid::new_v4().to_string()).await.problem(),
            (404, "no-such-task".to_owned())
        );
    })
    .await;
}
