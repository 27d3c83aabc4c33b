//! One task and its result, from the submission to the end.

use serde_json::{Value, json};

use crate::kit::service::each;

#[tokio::test]
async fn a_task_that_finished_has_a_result_and_its_dates() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let id = ann.created().await;
        let grant = rig.granted(&id, "rig 7").await;
        let running = ann.task(&id).await;
        assert_eq!((&running["status"], &running["workerName"]), (&json!("RUNNING"), &json!("rig 7")));
        assert_eq!((&running["endDate"], &running["attempt"]), (&json!(null), &json!(1)));
        assert!(running["startDate"].is_string() && running["deadline"].is_string());
        assert_eq!(
            rig.report(&grant, json!({"result": {"login": "abc"}})).await,
            json!({"became": "finished"})
        );
        let task = ann.task(&id).await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("FINISHED"), &json!(null)));
        let date = |name: &str| task[name].as_str().unwrap().to_owned();
        assert!(date("creationDate") <= date("startDate") && date("startDate") <= date("endDate"), "{task}");
        assert!(date("endDate") <= date("deadline"), "{task}");
        assert_eq!(ann.result(&id).await.ok::<Value>(), json!({"result": {"login": "abc"}}));
    })
    .await;
}

#[tokio::test]
async fn a_task_without_a_result_says_how_it_stands() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let id = ann.created().await;
        let no_result = async |status: &str, reason: Value| {
            let answer = ann.result(&id).await;
            assert_eq!(answer.problem(), (404, "no-result".to_owned()));
            let problem: Value = answer.read();
            assert_eq!((&problem["taskStatus"], &problem["reason"]), (&json!(status), &reason));
        };
        no_result("CREATED", json!(null)).await;
        let grant = rig.granted(&id, "w").await;
        no_result("RUNNING", json!(null)).await;
        let settled = rig.report(&grant, json!({"error": "out of\u{0} paper"})).await;
        assert_eq!(settled, json!({"became": "cancelled", "reason": "OPERATION_FAILED"}));
        no_result("CANCELLED", json!("OPERATION_FAILED")).await;
        assert_eq!(ann.task(&id).await["error"], "out of\u{fffd} paper");
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_a_task_hears_of_each_kind_of_end_at_once() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let (done, failed, dropped) = (ann.created().await, ann.created().await, ann.created().await);
        let grants = (rig.granted(&done, "w").await, rig.granted(&failed, "w").await);
        let work = async {
            rig.report(&grants.0, json!({"result": 1})).await;
            rig.report(&grants.1, json!({"error": "no"})).await;
            ann.cancel(&dropped).await.is(200);
        };
        let (a, b, c, ()) = tokio::join!(ann.ended(&done), ann.ended(&failed), ann.ended(&dropped), work);
        assert_eq!([&a["status"], &b["status"], &c["status"]], ["FINISHED", "CANCELLED", "CANCELLED"]);
        assert_eq!([&b["reason"], &c["reason"]], ["OPERATION_FAILED", "REQUESTED"]);
        let answer = ann.get(&format!("/api/Task/{done}")).prefer("wait=5, return=representation").await;
        assert_eq!(answer.header("preference-applied"), Some("wait=5"));
    })
    .await;
}
