//! Submitting a task: its answer, and the task that it creates.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::test_backend::{on_each_database, on_each_database_with};

#[tokio::test]
async fn a_submitted_task_is_created_and_can_be_read() {
    on_each_database(async |service| {
        let user = service.user();
        let answer = user
            .submit(json!({"type": "ECHO", "parameters": {"say": "hi"}, "ttl": 5000}))
            .await
            .expect_status(201);
        let id: String = answer.read();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let location = answer.header("location").unwrap().to_owned();
        assert_eq!(answer.header("preference-applied"), None);
        let task: Value = user.get(&location).await.ok();
        let date = task["creationDate"].as_str().unwrap().to_owned();
        assert_eq!(
            task,
            json!({
                "id": id, "type": "ECHO", "parameters": {"say": "hi"}, "status": "CREATED", "reason": null,
                "error": null, "cancelledBy": null, "labels": {}, "creationDate": date, "notBefore": null,
                "startDate": null, "endDate": null, "stoppedDate": null, "deadline": null, "progress": null, "ttl": 5000, "totalTtlMs": null, "priority": 4,
                "maxAttempts": 1, "retry": null, "after": [], "parametersFrom": {}, "rerunOf": null, "attempts": 0,
                "workerName": null, "schedule": null, "scheduledFor": null,
            })
        );
        assert!(is_rfc_3339_with_millis(&date), "{date}");
    })
    .await;
}

#[tokio::test]
async fn a_submission_is_answered_with_the_task_if_that_is_preferred() {
    on_each_database(async |service| {
        let user = service.user();
        let body = json!({"type": "ECHO", "ttl": 5000});
        let answer = user.submit(body.clone()).prefer("return=representation").await.expect_status(201);
        assert_eq!(answer.header("preference-applied"), Some("return=representation"));
        let task: Value = answer.read();
        assert_eq!(task["status"], "CREATED");
        assert_eq!(answer.header("location").unwrap(), format!("/api/Task/{}", task["id"].as_str().unwrap()));
        let answer = user.submit(body.clone()).prefer("wait=0").await.expect_status(201);
        assert_eq!(answer.header("preference-applied"), Some("wait=0"));
        assert_eq!(answer.read::<Value>()["status"], "CREATED", "no worker runs it, and the wait is over");
        let answer = user.submit(body).prefer("return=minimal, handling=strict").await;
        assert_eq!(answer.header("preference-applied"), None);
        answer.id();
    })
    .await;
}

#[tokio::test]
async fn a_submission_that_waits_is_answered_when_the_task_has_ended() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let submit =
            user.submit(json!({"type": "ECHO", "ttl": 30_000})).prefer("wait=30, return=representation");
        let work = async {
            let grants = worker.claim_by_type(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants();
            worker.report(&grants[0], json!({"result": 42})).await
        };
        let (answer, settled) = tokio::join!(submit.into_future(), work);
        assert_eq!(settled, json!({"became": "finished"}));
        assert_eq!(answer.header("preference-applied"), Some("return=representation, wait=30"));
        assert_eq!(answer.expect_status(201).read::<Value>()["status"], "FINISHED");
    })
    .await;
}

#[tokio::test]
async fn a_submission_without_a_ttl_gets_the_default_ttl() {
    on_each_database_with(
        |settings| settings.default_ttl = Some(domain::Ttl::try_from(7000).unwrap()),
        async |service| {
            let user = service.user();
            let id = user.submit(json!({"type": "ECHO"})).await.id();
            assert_eq!(user.task(&id).await["ttl"], 7000);
        },
    )
    .await;
}

#[tokio::test]
async fn the_fields_of_a_submission_are_accepted_in_any_case() {
    on_each_database(async |service| {
        let user = service.user();
        let id = user.submit(json!({"Type": "ECHO", "PARAMETERS": [1], "Ttl": 1000})).await.id();
        assert_eq!(user.task(&id).await["parameters"], json!([1]));
    })
    .await;
}

#[tokio::test]
async fn the_task_of_a_client_that_disconnects_is_run_all_the_same() {
    on_each_database(async |service| {
        let (user, worker) = (service.user(), service.worker());
        let body = r#"{"type": "ECHO", "ttl": 60000}"#;
        let token = user.token.clone().unwrap();
        let head = format!(
            "POST /api/Task HTTP/1.1\r\nHost: x\r\nPrefer: wait=60\r\nAuthorization: Bearer {token}\r\n"
        );
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let mut connection = TcpStream::connect(service.url.trim_start_matches("http://")).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let grant =
            worker.claim_by_type(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants().remove(0);
        drop(connection);
        assert_eq!(worker.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
        let list: Value = user.get("/api/Task").await.ok();
        assert_eq!(list["tasks"].as_array().unwrap().len(), 1);
        let (id, status) = (&list["tasks"][0]["id"], &list["tasks"][0]["status"]);
        assert_eq!((id, status), (&json!(grant.id), &json!("FINISHED")));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_exceeds_its_timeout_is_answered_503() {
    on_each_database_with(
        |settings| settings.request_timeout = Duration::from_millis(50),
        async |service| {
            let token = service.user().token.unwrap();
            let mut connection = TcpStream::connect(service.url.trim_start_matches("http://")).await.unwrap();
            let head = format!("POST /api/Task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
            connection.write_all(format!("{head}Content-Length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
            assert!(answer.contains("/errors/timed-out"), "{answer}");
        },
    )
    .await;
}

fn is_rfc_3339_with_millis(date: &str) -> bool {
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}
