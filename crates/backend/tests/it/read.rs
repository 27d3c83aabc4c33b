//! Reading one task and its result, from the submission to the end.

use serde_json::{Value, json};

use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn a_finished_task_has_its_result_and_its_dates() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let grant = worker.claim_one(&id, "worker 7").await;
        let running = user.task(&id).await;
        assert_eq!((&running["status"], &running["workerName"]), (&json!("RUNNING"), &json!("worker 7")));
        assert_eq!((&running["endDate"], &running["attempts"]), (&json!(null), &json!(1)));
        assert!(running["startDate"].is_string() && running["deadline"].is_string());
        assert_eq!(
            worker.report_as("worker 7", &grant, json!({"result": {"login": "abc"}})).await,
            json!({"became": "finished"})
        );
        let task = user.task(&id).await;
        assert_eq!((&task["status"], &task["reason"]), (&json!("FINISHED"), &json!(null)));
        let date = |name: &str| task[name].as_str().unwrap().to_owned();
        assert!(date("creationDate") <= date("startDate") && date("startDate") <= date("endDate"), "{task}");
        assert!(date("endDate") <= date("deadline"), "{task}");
        assert_eq!(user.result(&id).await.ok::<Value>(), json!({"result": {"login": "abc"}}));
    })
    .await;
}

#[tokio::test]
async fn the_result_of_a_task_that_has_none_is_answered_404_with_its_status() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let id = user.submit_echo().await;
        let assert_no_result = async |status: &str, reason: Value| {
            let answer = user.result(&id).await;
            assert_eq!(answer.problem(), (404, "no-result".to_owned()));
            let problem: Value = answer.read();
            assert_eq!((&problem["taskStatus"], &problem["reason"]), (&json!(status), &reason));
        };
        assert_no_result("CREATED", json!(null)).await;
        let grant = worker.claim_one(&id, "w").await;
        assert_no_result("RUNNING", json!(null)).await;
        let settled = worker.report(&grant, json!({"error": "out of\u{0} paper"})).await;
        assert_eq!(settled, json!({"became": "cancelled", "reason": "OPERATION_FAILED"}));
        assert_no_result("CANCELLED", json!("OPERATION_FAILED")).await;
        assert_eq!(user.task(&id).await["error"], "out of\u{fffd} paper");
    })
    .await;
}

#[tokio::test]
async fn a_request_that_waits_for_a_task_is_answered_at_each_kind_of_end() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let (finished, failed, cancelled) =
            (user.submit_echo().await, user.submit_echo().await, user.submit_echo().await);
        let grants = (worker.claim_one(&finished, "w").await, worker.claim_one(&failed, "w").await);
        let work = async {
            worker.report(&grants.0, json!({"result": 1})).await;
            worker.report(&grants.1, json!({"error": "no"})).await;
            user.cancel(&cancelled).await.expect_status(200);
        };
        let (first, second, third, ()) = tokio::join!(
            user.wait_for_end(&finished),
            user.wait_for_end(&failed),
            user.wait_for_end(&cancelled),
            work
        );
        assert_eq!(
            [&first["status"], &second["status"], &third["status"]],
            ["FINISHED", "CANCELLED", "CANCELLED"]
        );
        assert_eq!([&second["reason"], &third["reason"]], ["OPERATION_FAILED", "REQUESTED"]);
        let answer = user.get(&format!("/api/Task/{finished}")).prefer("wait=5, return=representation").await;
        assert_eq!(answer.header("preference-applied"), Some("wait=5"));
    })
    .await;
}
