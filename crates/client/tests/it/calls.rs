//! Each verb is the request of the contract, and each answer is what it says.

use std::time::Duration;

use client::{Client, ClientError, Credentials, Settings};
use domain::{ClaimId, ClaimRequest, ClaimTarget, Page, RawJson, Status, TaskId, Ttl};
use serde_json::{Value, json};

use crate::kit::scripted_server::{Server, TOKEN};

const ID: &str = "01938a3e-0000-7000-8000-000000000001";

fn id() -> TaskId {
    ID.parse().unwrap()
}

fn task(status: &str) -> Value {
    json!({
        "id": ID, "type": "ECHO", "parameters": null, "status": status, "reason": null, "error": null,
        "creationDate": "2026-11-24T09:30:00.125Z", "startDate": null, "endDate": null, "deadline": null,
        "ttl": 5000, "attempt": 0, "workerName": null
    })
}

fn client(server: &Server) -> Client {
    server.client_as(Credentials::Token("t".into()))
}

#[tokio::test]
async fn a_submission_says_what_is_given_byte_for_byte() {
    let server = Server::start().await;
    server.answer("/api/Task/", 201, &json!(ID));
    server.answer("/api/Task/", 201, &json!(ID));
    let name = "ECHO".parse().unwrap();
    let odd = RawJson::parse(r#"{ "big": 9223372036854775807, "e": 1.0e2 }"#.to_owned()).unwrap();
    let ttl = Ttl::try_from(5000).unwrap();
    assert_eq!(client(&server).submit(&name, Some(&odd), Some(ttl)).await.unwrap(), id());
    client(&server).submit(&name, None, None).await.unwrap();
    let requests = server.requests("/api/Task/");
    let expected = r#"{"type":"ECHO","parameters":{ "big": 9223372036854775807, "e": 1.0e2 },"ttl":5000}"#;
    assert_eq!(requests[0].body, expected);
    assert_eq!(requests[1].body, r#"{"type":"ECHO"}"#);
    assert_eq!(requests[1].header("prefer"), "");
}

#[tokio::test]
async fn a_wait_is_asked_for_in_whole_seconds_and_goes_on_until_the_end() {
    let server = Server::start().await;
    let path = format!("/api/Task/{ID}");
    server.answer(&path, 200, &task("RUNNING"));
    server.answer(&path, 200, &task("FINISHED"));
    let ended = client(&server).wait(id(), Duration::from_millis(29_500)).await.unwrap();
    assert_eq!(ended.status, Status::Finished);
    assert_eq!(server.requests(&path).len(), 2);
    assert_eq!(server.requests(&path)[0].header("prefer"), "wait=20");
}

#[tokio::test]
async fn a_page_says_where_it_begins_and_how_long_it_is() {
    let server = Server::start().await;
    for _ in 0..2 {
        server.answer("/api/Task/", 200, &json!({ "tasks": [] }));
    }
    let page = Page { before: None, limit: 3 };
    client(&server).list(page).await.unwrap();
    client(&server).list(page.after(id())).await.unwrap();
    let asked: Vec<_> = server.requests("/api/Task/").into_iter().map(|request| request.query).collect();
    assert_eq!(asked, ["limit=3".to_owned(), format!("limit=3&before={ID}")]);
}

#[tokio::test]
async fn without_patience_there_is_one_look() {
    let server = Server::start().await;
    let path = format!("/api/Task/{ID}");
    server.answer(&path, 200, &task("RUNNING"));
    let seen = client(&server).wait(id(), Duration::ZERO).await.unwrap();
    assert_eq!(seen.status, Status::Running);
    assert_eq!(server.requests(&path)[0].header("prefer"), "");
}

#[tokio::test]
async fn a_problem_comes_whole_with_its_pause() {
    let server = Server::start().await;
    server.problem(&format!("/api/Task/{ID}/cancel"), 409, "the task has finished");
    server.problem(&format!("/api/Task/{ID}/result"), 503, "too many wait");
    let refused = client(&server).cancel(id()).await.unwrap_err();
    assert_eq!(refused.problem().unwrap().slug(), "scripted");
    assert_eq!(refused.to_string(), "the task has finished");
    assert!(!refused.is_temporary());
    let busy = client(&server).result(id()).await.unwrap_err();
    assert!(busy.is_temporary());
    assert_eq!(busy.retry_after(), Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_not_kept() {
    let server = Server::start().await;
    server.answer(TOKEN, 200, &json!("x".repeat(9 << 20)));
    let error = server.client().list(Page::FIRST).await.unwrap_err();
    assert!(matches!(&error, ClientError::Unexpected { status: 200, source: None, .. }), "{error:?}");
}

#[tokio::test]
async fn an_answer_outside_the_contract_keeps_its_cause() {
    let server = Server::start().await;
    server.answer("/api/Task/", 200, &json!({ "tasks": 7 }));
    let error = client(&server).list(Page::FIRST).await.unwrap_err();
    assert!(matches!(&error, ClientError::Unexpected { status: 200, source: Some(_), .. }), "{error:?}");
    assert!(!error.is_temporary());
}

#[tokio::test]
async fn nobody_at_home_is_temporary() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let credentials = Credentials::Token("t".into());
    let settings = Settings { backend: format!("http://{nobody}"), credentials, ca: None };
    let error = Client::new(settings).unwrap().get(id()).await.unwrap_err();
    assert!(error.is_temporary() && std::error::Error::source(&error).is_some(), "{error:?}");
    assert_eq!(error.to_string(), format!("no answer from http://{nobody}/api/Task/{ID}"));
}

#[tokio::test]
async fn the_service_speaks_the_domains_types() {
    let server = Server::start().await;
    server.answer("/api/Task/request", 200, &json!({ "heldMs": 3, "tasks": [] }));
    let wanted = ClaimTarget::Pull { types: vec!["ECHO".parse().unwrap()], slots: 2, min_age_ms: 0 };
    let ask = ClaimRequest {
        claim: ClaimId::random(),
        worker: "rig 7".parse().unwrap(),
        wanted,
        wait_ms: 10,
        declined: Vec::new(),
    };
    assert_eq!(client(&server).claim(&ask).await.unwrap().held_ms, 3);
    let said: ClaimRequest = serde_json::from_str(&server.requests("/api/Task/request")[0].body).unwrap();
    assert_eq!(said, ask);

    server.answer("/api/Operation/ECHO", 201, &json!({}));
    let echo: domain::Operation =
        serde_json::from_value(json!({ "type": "ECHO", "parameters": true, "result": true })).unwrap();
    client(&server).register(&echo).await.unwrap();
    assert_eq!(server.requests("/api/Operation/ECHO")[0].method, "PUT");
}
