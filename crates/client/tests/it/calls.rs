//! Each call sends the request of the contract and decodes its response.

use std::time::Duration;

use client::{Client, ClientError, Credentials, NewTask, Settings};
use domain::{
    ClaimId, ClaimRequest, ClaimTarget, InstanceId, ListCursor, PageRequest, Pull, RawJson, Status,
    TaskFilter, TaskId, Timestamp, Ttl,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::kit::scripted_server::{ScriptedServer, TOKEN};

const ID: &str = "01938a3e-0000-7000-8000-000000000001";

fn id() -> TaskId {
    ID.parse().unwrap()
}

fn task(status: &str) -> Value {
    json!({
        "id": ID, "type": "ECHO", "parameters": null, "status": status, "reason": null, "error": null,
        "creationDate": "2026-11-24T09:30:00.125Z", "startDate": null, "endDate": null, "deadline": null,
        "ttl": 5000, "priority": 4, "maxAttempts": 1, "labels": {}, "after": [], "parametersFrom": {}, "attempts": 0, "workerName": null
    })
}

fn client(server: &ScriptedServer) -> Client {
    server.client_as(Credentials::Token("t".into()))
}

#[tokio::test]
async fn a_submission_sends_the_parameters_byte_for_byte() {
    let server = ScriptedServer::start().await;
    server.respond("/api/Task/", 201, &json!(ID));
    server.respond("/api/Task/", 201, &json!(ID));
    let name = "ECHO".parse().unwrap();
    let odd = RawJson::parse(r#"{ "big": 9223372036854775807, "e": 1.0e2 }"#.to_owned()).unwrap();
    let ttl = Ttl::try_from(5000).unwrap();
    let plain = NewTask::of_type(&name);
    let task = NewTask { parameters: Some(&odd), ttl: Some(ttl), ..plain.clone() };
    assert_eq!(client(&server).submit(&task).await.unwrap(), id());
    client(&server).submit(&plain).await.unwrap();
    let requests = server.requests("/api/Task/");
    let expected = r#"{"type":"ECHO","parameters":{ "big": 9223372036854775807, "e": 1.0e2 },"ttl":5000}"#;
    assert_eq!(requests[0].body, expected);
    assert_eq!(requests[1].body, r#"{"type":"ECHO"}"#);
    assert_eq!(requests[1].header("prefer"), "");
    let keys = [0, 1].map(|index: usize| requests[index].header("idempotency-key").to_owned());
    assert!(keys[0].starts_with('"') && keys[0] != keys[1], "each submission has a key of its own: {keys:?}");
}

#[tokio::test]
async fn a_submission_whose_outcome_is_unknown_is_sent_again_with_its_key() {
    let server = ScriptedServer::start().await;
    let in_progress = json!({
        "type": "/errors/submission-under-way", "title": "x", "status": 409, "detail": "x"
    });
    server.respond("/api/Task/", 502, &json!("a proxy has lost the answer"));
    server.respond_with_headers("/api/Task/", 409, "application/problem+json", "0", &in_progress);
    server.respond("/api/Task/", 201, &json!(ID));
    let name = "ECHO".parse().unwrap();
    let key = "order-17".parse().unwrap();
    let submitted = client(&server).submit_with_key(&NewTask::of_type(&name), &key).await;
    assert_eq!(submitted.unwrap(), id());
    let requests = server.requests("/api/Task/");
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|request| request.header("idempotency-key") == "\"order-17\""));
}

#[tokio::test]
async fn a_submission_that_is_refused_is_not_sent_again() {
    let server = ScriptedServer::start().await;
    server.problem("/api/Task/", 422, "ttl is 0 ms");
    server.problem("/api/Task/", 429, "too many");
    let name = "ECHO".parse().unwrap();
    for status in [422, 429] {
        let refused = client(&server).submit(&NewTask::of_type(&name)).await.unwrap_err();
        assert_eq!(refused.problem().unwrap().status, status);
    }
}

#[tokio::test]
async fn a_rerun_is_sent_with_a_key() {
    let server = ScriptedServer::start().await;
    let path = format!("/api/Task/{ID}/rerun");
    server.respond(&path, 201, &json!(ID));
    assert_eq!(client(&server).rerun(id(), &"r".parse().unwrap()).await.unwrap(), id());
    assert_eq!(server.requests(&path)[0].header("idempotency-key"), "\"r\"");
}

#[tokio::test]
async fn a_batch_sends_its_tasks_byte_for_byte() {
    let server = ScriptedServer::start().await;
    server.respond("/api/Task/batch", 201, &json!({ "ids": [ID] }));
    let task = RawJson::parse(r#"{"type": "ECHO",  "ttl": 5e3}"#.to_owned()).unwrap();
    let ids = client(&server).submit_batch(&[task], &"b".parse().unwrap()).await.unwrap();
    assert_eq!(ids, [id()]);
    let request = &server.requests("/api/Task/batch")[0];
    assert_eq!(request.body, r#"{"tasks":[{"type": "ECHO",  "ttl": 5e3}]}"#);
    assert_eq!(request.header("idempotency-key"), "\"b\"");
}

#[tokio::test]
async fn a_wait_is_split_into_requests_of_whole_seconds_until_the_task_has_ended() {
    let server = ScriptedServer::start().await;
    let path = format!("/api/Task/{ID}");
    server.respond(&path, 200, &task("RUNNING"));
    server.respond(&path, 200, &task("FINISHED"));
    let ended = client(&server).wait(id(), Duration::from_millis(29_500)).await.unwrap();
    assert_eq!(ended.status, Status::Finished);
    assert_eq!(server.requests(&path).len(), 2);
    assert_eq!(server.requests(&path)[0].header("prefer"), "wait=20");
}

#[tokio::test]
async fn a_page_is_requested_by_its_limit_and_its_cursor() {
    let server = ScriptedServer::start().await;
    for _ in 0..2 {
        server.respond("/api/Task/", 200, &json!({ "tasks": [] }));
    }
    let page = PageRequest::newest(3);
    client(&server).list(page).await.unwrap();
    client(&server).list(page.next_page(ListCursor(id()))).await.unwrap();
    let queries: Vec<_> = server.requests("/api/Task/").into_iter().map(|request| request.query).collect();
    assert_eq!(queries, ["limit=3".to_owned(), format!("limit=3&cursor={}", ListCursor(id()))]);
}

#[tokio::test]
async fn the_conditions_of_a_list_are_in_the_query() {
    let server = ScriptedServer::start().await;
    server.respond("/api/Task/", 200, &json!({ "tasks": [] }));
    let filter = TaskFilter {
        status: Some(Status::Running),
        type_name: Some("ECHO".parse().unwrap()),
        created_after: Some(Timestamp(0)),
        ..TaskFilter::UNFILTERED
    };
    client(&server).list_filtered(&filter, PageRequest::newest(3)).await.unwrap();
    let query = &server.requests("/api/Task/")[0].query;
    assert_eq!(query, "status=RUNNING&type=ECHO&createdAfter=1970-01-01T00%3A00%3A00.000Z&limit=3");
}

#[tokio::test]
async fn a_wait_of_zero_sends_one_request_without_a_preference() {
    let server = ScriptedServer::start().await;
    let path = format!("/api/Task/{ID}");
    server.respond(&path, 200, &task("RUNNING"));
    let current = client(&server).wait(id(), Duration::ZERO).await.unwrap();
    assert_eq!(current.status, Status::Running);
    assert_eq!(server.requests(&path)[0].header("prefer"), "");
}

#[tokio::test]
async fn a_problem_is_returned_with_its_retry_after() {
    let server = ScriptedServer::start().await;
    server.problem(&format!("/api/Task/{ID}/cancel"), 409, "the task has finished");
    server.problem(&format!("/api/Task/{ID}/result"), 503, "too many wait");
    let refused = client(&server).cancel(id()).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().slug(), "internal");
    assert_eq!(refused.to_string(), "the task has finished");
    assert!(!refused.is_temporary());
    let busy = client(&server).result(id()).await.unwrap_err();
    assert!(busy.is_temporary());
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn a_response_that_is_too_long_is_refused() {
    let server = ScriptedServer::start().await;
    server.respond(TOKEN, 200, &json!("x".repeat(9 << 20)));
    let error = server.client().list(PageRequest::FIRST).await.unwrap_err();
    assert!(matches!(&error, ClientError::Unexpected { status: 200, source: None, .. }), "{error:?}");
}

#[tokio::test]
async fn a_response_outside_the_contract_is_an_error_with_its_cause() {
    let server = ScriptedServer::start().await;
    server.respond("/api/Task/", 200, &json!({ "tasks": 7 }));
    let error = client(&server).list(PageRequest::FIRST).await.unwrap_err();
    assert!(matches!(&error, ClientError::Unexpected { status: 200, source: Some(_), .. }), "{error:?}");
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn a_refused_connection_is_temporary() {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let credentials = Credentials::Token("t".into());
    let settings = Settings { backends: vec![format!("http://{unused}")], credentials, ca: None };
    let error = Client::new(settings).unwrap().get(id()).await.unwrap_err();
    assert!(error.is_temporary() && std::error::Error::source(&error).is_some(), "{error:?}");
    assert_eq!(error.to_string(), format!("no answer from http://{unused}/api/Task/{ID}"));
}

#[tokio::test]
async fn a_response_that_ends_early_names_its_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = format!("http://{}", listener.local_addr().unwrap());
    let respond = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let _ = connection.read(&mut [0; 1000]).await.unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    };
    let settings =
        Settings { backends: vec![backend.clone()], credentials: Credentials::Token("t".into()), ca: None };
    let client = Client::new(settings).unwrap();
    let (answer, ()) = tokio::join!(client.get(id()), respond);
    assert_eq!(answer.unwrap_err().to_string(), format!("no answer from {backend}/api/Task/{ID}"));
}

#[tokio::test]
async fn the_worker_protocol_sends_and_decodes_the_domain_types() {
    let server = ScriptedServer::start().await;
    server.respond("/api/Task/request", 200, &json!({ "heldMs": 3, "maxHeldMs": 10, "tasks": [] }));
    let wanted = ClaimTarget::Pull(Pull { types: vec!["ECHO".parse().unwrap()], slots: 2, min_age_ms: 0 });
    let request = ClaimRequest {
        claim: ClaimId::random(),
        worker: "rig 7".parse().unwrap(),
        instance: InstanceId::random(),
        wanted,
        wait_ms: 10,
        declined: Vec::new(),
    };
    assert_eq!(client(&server).claim(&request).await.unwrap().held_ms, 3);
    let sent: ClaimRequest = serde_json::from_str(&server.requests("/api/Task/request")[0].body).unwrap();
    assert_eq!(sent, request);

    server.respond("/api/Operation/ECHO", 201, &json!({}));
    let echo: domain::Operation =
        serde_json::from_value(json!({ "type": "ECHO", "parameters": true, "result": true })).unwrap();
    client(&server).register_operation(&echo).await.unwrap();
    assert_eq!(server.requests("/api/Operation/ECHO")[0].method, "PUT");
}
