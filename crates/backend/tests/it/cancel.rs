//! A cancellation tells the truth: cancelled means that it never finishes.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::service::each;

#[tokio::test]
async fn a_task_is_cancelled_once_and_asking_again_is_fine() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (waiting, running) = (ann.created().await, ann.created().await);
        let grant = rig.granted(&running, "w").await;
        for id in [&waiting, &running] {
            let first = ann.cancel(id).await.is(200);
            let task: Value = first.read();
            assert_eq!((&task["status"], &task["reason"]), (&json!("CANCELLED"), &json!("REQUESTED")));
            assert!(task["endDate"].is_string());
            assert_eq!(ann.cancel(id).await.is(200).text, first.text);
        }
        let settled = rig.report(&grant, json!({"result": 1})).await;
        assert_eq!(settled, json!({"became": "cancelled", "reason": "REQUESTED"}));
        assert_eq!(rig.ask(&waiting, "w").await.problem(), (409, "not-granted".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn what_has_ended_otherwise_is_not_cancelled() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (done, failed) = (ann.created().await, ann.created().await);
        let grant = rig.granted(&done, "w").await;
        rig.report(&grant, json!({"result": 1})).await;
        let grant = rig.granted(&failed, "w").await;
        rig.report(&grant, json!({"error": "no"})).await;
        for (id, status, reason) in
            [(&done, "FINISHED", json!(null)), (&failed, "CANCELLED", json!("OPERATION_FAILED"))]
        {
            let answer = ann.cancel(id).await;
            assert_eq!(answer.problem(), (409, "already-ended".to_owned()));
            let problem: Value = answer.read();
            assert_eq!((&problem["taskStatus"], &problem["reason"]), (&json!(status), &reason));
        }
        assert_eq!(ann.cancel(&Uuid::new_v4().to_string()).await.problem(), (404, "no-such-task".to_owned()));
    })
    .await;
}
