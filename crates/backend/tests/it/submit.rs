//! A submission: what is answered, and what it makes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::service::{each, each_with};

#[tokio::test]
async fn a_submitted_task_is_created_and_everything_about_it_can_be_read() {
    each(async |service| {
        let ann = service.user();
        let answer =
            ann.submit(json!({"type": "ECHO", "parameters": {"say": "hi"}, "ttl": 5000})).await.is(201);
        let id: String = answer.read();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let location = answer.header("location").unwrap().to_owned();
        assert_eq!(answer.header("preference-applied"), None);
        let task: Value = ann.get(&location).await.ok();
        let date = task["creationDate"].as_str().unwrap().to_owned();
        assert_eq!(
            task,
            json!({
                "id": id, "type": "ECHO", "parameters": {"say": "hi"}, "status": "CREATED", "reason": null,
                "error": null, "creationDate": date, "startDate": null, "endDate": null, "deadline": null,
                "ttl": 5000, "attempt": 0, "workerName": null,
            })
        );
        assert!(is_rfc_3339_with_millis(&date), "{date}");
    })
    .await;
}

#[tokio::test]
async fn the_task_itself_is_the_answer_if_it_is_preferred() {
    each(async |service| {
        let ann = service.user();
        let body = json!({"type": "ECHO", "ttl": 5000});
        let answer = ann.submit(body.clone()).prefer("return=representation").await.is(201);
        assert_eq!(answer.header("preference-applied"), Some("return=representation"));
        let task: Value = answer.read();
        assert_eq!(task["status"], "CREATED");
        assert_eq!(answer.header("location").unwrap(), format!("/api/Task/{}", task["id"].as_str().unwrap()));
        let answer = ann.submit(body.clone()).prefer("wait=0").await.is(201);
        assert_eq!(answer.header("preference-applied"), Some("wait=0"));
        assert_eq!(answer.read::<Value>()["status"], "CREATED", "nobody runs it, and the time is up");
        let answer = ann.submit(body).prefer("return=minimal, handling=strict").await;
        assert_eq!(answer.header("preference-applied"), None);
        answer.id();
    })
    .await;
}

#[tokio::test]
async fn who_waits_is_answered_when_the_task_has_ended() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let submit =
            ann.submit(json!({"type": "ECHO", "ttl": 30_000})).prefer("wait=30, return=representation");
        let work = async {
            let grants = rig.pull(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants();
            rig.report(&grants[0], json!({"result": 42})).await
        };
        let (answer, settled) = tokio::join!(submit.into_future(), work);
        assert_eq!(settled, json!({"became": "finished"}));
        assert_eq!(answer.header("preference-applied"), Some("return=representation, wait=30"));
        assert_eq!(answer.is(201).read::<Value>()["status"], "FINISHED");
    })
    .await;
}

#[tokio::test]
async fn a_default_life_is_taken_where_the_submitter_names_none() {
    each_with(
        |settings| settings.default_ttl = Some(domain::Ttl::try_from(7000).unwrap()),
        async |service| {
            let ann = service.user();
            let id = ann.submit(json!({"type": "ECHO"})).await.id();
            assert_eq!(ann.task(&id).await["ttl"], 7000);
        },
    )
    .await;
}

#[tokio::test]
async fn names_of_fields_are_taken_in_any_case() {
    each(async |service| {
        let ann = service.user();
        let id = ann.submit(json!({"Type": "ECHO", "PARAMETERS": [1], "Ttl": 1000})).await.id();
        assert_eq!(ann.task(&id).await["parameters"], json!([1]));
    })
    .await;
}

#[tokio::test]
async fn a_client_that_hangs_up_has_its_task_all_the_same() {
    each(async |service| {
        let (ann, rig) = (service.user(), service.worker());
        let body = r#"{"type": "ECHO", "ttl": 60000}"#;
        let token = ann.token.clone().unwrap();
        let head = format!(
            "POST /api/Task HTTP/1.1\r\nHost: x\r\nPrefer: wait=60\r\nAuthorization: Bearer {token}\r\n"
        );
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        let mut wire = TcpStream::connect(service.url.trim_start_matches("http://")).await.unwrap();
        wire.write_all(request.as_bytes()).await.unwrap();
        let grant = rig.pull(uuid::Uuid::new_v4(), "w", "ECHO", 1, 30_000).await.grants().remove(0);
        drop(wire);
        assert_eq!(rig.report(&grant, json!({"result": 1})).await, json!({"became": "finished"}));
        let list: Value = ann.get("/api/Task").await.ok();
        assert_eq!(list, json!({"tasks": [{"id": grant.id, "type": "ECHO", "status": "FINISHED"}]}));
    })
    .await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    each_with(
        |settings| settings.request_timeout = Duration::from_millis(50),
        async |service| {
            let token = service.user().token.unwrap();
            let mut wire = TcpStream::connect(service.url.trim_start_matches("http://")).await.unwrap();
            let head = format!("POST /api/Task HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n");
            wire.write_all(format!("{head}Content-Length: 100\r\n\r\n{{").as_bytes()).await.unwrap();
            let mut answer = String::new();
            wire.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"), "{answer}");
            assert!(answer.contains("urn:tasker:problem:timed-out"), "{answer}");
        },
    )
    .await;
}

fn is_rfc_3339_with_millis(date: &str) -> bool {
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    shape == "0000-00-00T00:00:00.000Z"
}
