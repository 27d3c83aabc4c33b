//! The log of requests: its levels, and the request id that a failed request's line and answer share.

use serde_json::Value;
use uuid::Uuid;

use crate::kit::step_observers::LogCapture;
use crate::kit::test_backend::on_each_database;

#[tokio::test]
async fn a_failed_request_is_logged_with_its_route_its_caller_its_cause_and_the_id_that_its_answer_has() {
    let log = LogCapture::default();
    let _guard = log.install("info");
    on_each_database(async |service| {
        let owner = Uuid::new_v4();
        let user = service.with_token(service.issuer.token(&owner.to_string(), &["User"]));
        let id = user.submit_echo().await;
        let request_id = format!("test-{owner}");
        service.execute_sql("alter table unfinished_task rename to renamed".to_owned()).await;
        let answer = user.get(&format!("/api/Task/{id}")).header("x-request-id", &request_id).await;
        service.execute_sql("alter table renamed rename to unfinished_task".to_owned()).await;
        assert_eq!(answer.problem(), (500, "internal".to_owned()));
        assert_eq!(answer.header("x-request-id"), Some(&*request_id));
        assert_eq!(answer.read::<Value>()["instance"], format!("urn:tasker:request:{request_id}"));
        let lines = log.lines_with(&request_id);
        assert_eq!(lines.len(), 1, "{}", log.text());
        for part in ["ERROR", "GET", "/api/Task/{id}", "500", "unfinished_task", &owner.to_string()] {
            assert!(lines[0].contains(part), "{part}: {}", lines[0]);
        }
    })
    .await;
}

#[tokio::test]
async fn requests_that_workers_send_all_the_time_are_logged_at_debug_only() {
    let log = LogCapture::default();
    let _guard = log.install("info");
    on_each_database(async |service| {
        service.worker().heartbeat("w", &[]).await.expect_status(200);
        service.get("/health/ready").await.expect_status(200);
        assert_eq!(log.lines_with("was answered with").len(), 0, "{}", log.text());
    })
    .await;
}

#[tokio::test]
async fn a_list_that_ends_in_the_middle_is_logged_with_its_owner_and_the_cause() {
    let log = LogCapture::default();
    let _guard = log.install("info");
    on_each_database(async |service| {
        let owner = Uuid::new_v4();
        service.submit_to_store(owner, "ECHO", 1001).await;
        // The oldest task is on the second page, which is read when the first is on its way.
        let oldest = "(select id from task order by id limit 1)";
        service.execute_sql(format!("update task set type = '' where id = {oldest}")).await;
        let token = service.issuer.token(&owner.to_string(), &["User"]);
        let request = service.http.get(format!("{}/api/Task", service.url)).bearer_auth(token);
        // The connection is cut, perhaps before the head of the answer is sent.
        let whole = async { request.send().await?.text().await };
        assert!(whole.await.is_err(), "the body is not whole");
        let lines = log.lines_with("a list of tasks was cut short");
        let lines = lines.iter().filter(|line| line.contains(&owner.to_string())).count();
        assert_eq!(lines, 1, "{}", log.text());
        service.execute_sql("update task set type = 'ECHO' where type = ''".to_owned()).await;
    })
    .await;
}
