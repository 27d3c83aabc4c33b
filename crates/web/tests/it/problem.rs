//! Problem documents, request ids and panics.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::Problem;
use domain::problem_types::operations::CONFLICT;
use domain::problem_types::requests::{BUSY, TOO_MANY_REQUESTS};
use serde_json::json;
use uuid::Uuid;
use web::{catch_panic, problem, request_id};

use crate::exchange::{self, request, send};

async fn conflict() -> Response {
    problem::response(Problem::new(&CONFLICT, "there is one of that name"))
}

async fn busy() -> Response {
    problem::response(Problem::new(&BUSY, "try again shortly"))
}

async fn too_many() -> Response {
    problem::response(Problem::new(&TOO_MANY_REQUESTS, "try again shortly"))
}

async fn panics() -> StatusCode {
    panic!("the password is swordfish")
}

fn routes() -> Router {
    Router::new()
        .route("/conflict", get(conflict))
        .route("/busy", get(busy))
        .route("/too-many", get(too_many))
        .route("/panics", get(panics))
        .route("/page", get(async || (StatusCode::NOT_FOUND, "a page").into_response()))
        .layer(catch_panic::layer(catch_panic::internal_error))
}

fn router() -> Router {
    routes().layer(from_fn(request_id::assign))
}

#[tokio::test]
async fn a_problem_names_the_request_as_its_instance() {
    let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    let answer = send(&router(), request("GET", "/conflict", &[("x-request-id", id)])).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("x-request-id"), id);
    assert_eq!(
        answer.json(),
        json!({
            "type": "/errors/conflict",
            "title": "Already exists",
            "status": 409,
            "detail": "there is one of that name",
            "instance": format!("urn:uuid:{id}"),
        })
    );
}

#[tokio::test]
async fn a_request_without_an_id_or_with_an_invalid_one_gets_its_own() {
    for headers in [&[][..], &[("x-request-id", "two words")]] {
        let one = send(&router(), request("GET", "/conflict", headers)).await;
        let other = send(&router(), request("GET", "/conflict", headers)).await;
        let id: Uuid = one.header("x-request-id").parse().unwrap();
        assert_eq!(one.json()["instance"], id.urn().to_string());
        assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    }
}

#[tokio::test]
async fn an_answer_that_is_no_problem_keeps_its_body() {
    let answer = exchange::get(&router(), "/page").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (404, "a page"));
    assert!(answer.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn only_status_429_and_503_say_when_to_try_again() {
    for path in ["/busy", "/too-many"] {
        assert_eq!(exchange::get(&router(), path).await.header("retry-after"), "1");
    }
    assert_eq!(exchange::get(&router(), "/conflict").await.header("retry-after"), "");
}

#[tokio::test]
async fn a_length_that_was_set_before_the_instance_was_added_does_not_stay() {
    let nested = Router::new().fallback_service(routes()).layer(from_fn(request_id::assign));
    for router in [router(), nested] {
        let answer = exchange::get(&router, "/conflict").await;
        let length = answer.header("content-length");
        assert!(
            length.is_empty() || length == answer.body.len().to_string(),
            "the server adds one: {length}"
        );
    }
}

#[tokio::test]
async fn without_the_layer_a_problem_has_no_instance() {
    assert_eq!(exchange::get(&routes(), "/conflict").await.json().get("instance"), None);
}

#[tokio::test]
async fn a_panic_is_a_problem_that_does_not_show_the_message() {
    let answer = exchange::get(&router(), "/panics").await;
    assert_eq!(answer.status, 500);
    assert_eq!(answer.json()["type"], "/errors/internal");
    assert!(answer.json()["instance"].is_string() && !answer.text().contains("swordfish"));
}
