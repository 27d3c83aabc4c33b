//! Tokens are requested when they are needed, once for all waiting requests, and again when they are refused.

use client::{ClientError, Credentials};
use domain::PageRequest;
use futures_util::future::join_all;
use serde_json::json;

use crate::kit::scripted_server::{ScriptedServer, TOKEN};

const TASKS: &str = "/api/Task/";

fn tasks(server: &ScriptedServer, times: usize) {
    for _ in 0..times {
        server.respond(TASKS, 200, &json!({ "tasks": [] }));
    }
}

#[tokio::test]
async fn fifty_concurrent_requests_share_one_token_request() {
    let server = ScriptedServer::start().await;
    server.token("one", 3600);
    tasks(&server, 50);
    let client = server.client();
    let answers = join_all((0..50).map(|_| client.list(PageRequest::FIRST))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(server.requests(TOKEN).len(), 1);
    assert!(server.requests(TASKS).iter().all(|request| request.header("authorization") == "Bearer one"));
}

#[tokio::test]
async fn fifty_concurrent_requests_share_one_failure() {
    let server = ScriptedServer::start().await;
    server.respond(
        TOKEN,
        401,
        &json!({ "error": "invalid_client", "error_description": "there is no client `rig`" }),
    );
    let client = server.client();
    for answer in join_all((0..50).map(|_| client.list(PageRequest::FIRST))).await {
        let error = answer.unwrap_err();
        assert!(error.is_caller_refused() && !error.is_temporary());
        assert_eq!(
            error.to_string(),
            "Identity refused to issue a token: invalid_client, there is no client `rig`"
        );
    }
    assert_eq!(server.requests(TOKEN).len(), 1);

    server.token("one", 3600);
    tasks(&server, 1);
    client.list(PageRequest::FIRST).await.expect("a later request asks for a token again");
}

#[tokio::test]
async fn an_expired_token_is_requested_again() {
    let server = ScriptedServer::start().await;
    server.token("one", 0);
    server.token("two", 3600);
    tasks(&server, 3);
    let client = server.client();
    for _ in 0..3 {
        client.list(PageRequest::FIRST).await.unwrap();
    }
    let used: Vec<_> =
        server.requests(TASKS).iter().map(|request| request.header("authorization").to_owned()).collect();
    assert_eq!(used, ["Bearer one", "Bearer two", "Bearer two"]);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_per_request() {
    let server = ScriptedServer::start().await;
    server.token("old", 3600);
    server.token("new", 3600);
    server.problem(TASKS, 401, "the token is invalid");
    tasks(&server, 1);
    let client = server.client();
    client.list(PageRequest::FIRST).await.unwrap();
    let requests = server.requests(TASKS);
    assert_eq!(requests[0].header("authorization"), "Bearer old");
    assert_eq!(requests[1].header("authorization"), "Bearer new");

    server.token("newest", 3600);
    server.problem(TASKS, 401, "the second token is invalid");
    server.problem(TASKS, 401, "the third token is invalid");
    let error = client.list(PageRequest::FIRST).await.unwrap_err();
    assert_eq!(error.problem().unwrap().detail, "the third token is invalid");
    assert_eq!(server.requests(TASKS).len(), 4, "there is no third attempt");
}

#[tokio::test]
async fn a_fixed_token_is_not_replaced() {
    let server = ScriptedServer::start().await;
    server.problem(TASKS, 401, "the token is invalid");
    let client = server.client_as(Credentials::Token("fixed".into()));
    assert!(client.list(PageRequest::FIRST).await.unwrap_err().is_caller_refused());
    assert_eq!(server.requests(TASKS).len(), 1);
    assert!(server.requests(TOKEN).is_empty());
}

#[tokio::test]
async fn both_grants_are_requested_as_rfc_6749_says() {
    let server = ScriptedServer::start().await;
    let identity = server.address.clone();
    let password = Credentials::Password { identity, username: "ann".to_owned(), password: "a b&c".into() };
    for client in [server.client(), server.client_as(password)] {
        server.token("t", 3600);
        tasks(&server, 1);
        client.list(PageRequest::FIRST).await.unwrap();
    }
    let forms: Vec<_> = server.requests(TOKEN).into_iter().map(|request| request.body).collect();
    assert_eq!(
        forms,
        [
            "grant_type=client_credentials&client_id=rig&client_secret=hush",
            "grant_type=password&username=ann&password=a+b%26c&client_id=tasker_backend",
        ]
    );
}

#[tokio::test]
async fn a_token_response_outside_the_contract_is_an_unexpected_response() {
    let server = ScriptedServer::start().await;
    let error = server.client().list(PageRequest::FIRST).await.unwrap_err();
    assert!(matches!(error, ClientError::Unexpected { status: 418, .. }), "{error:?}");
}

#[tokio::test]
async fn debug_output_hides_the_client_secret() {
    let server = ScriptedServer::start().await;
    let shown = format!("{:?}", server.client());
    assert!(shown.contains("rig") && !shown.contains("hush"), "{shown}");
}

/// The listener of Identity refuses a host name before the token endpoint sees the request.
#[tokio::test]
async fn a_problem_in_the_place_of_a_token_is_the_error() {
    let server = ScriptedServer::start().await;
    server.problem(TOKEN, 421, "this service is not reached under the host name id");
    let error = server.client().list(PageRequest::FIRST).await.unwrap_err();
    assert_eq!(error.problem().unwrap().detail, "this service is not reached under the host name id");
    assert!(error.is_temporary() && !error.is_caller_refused());
}
