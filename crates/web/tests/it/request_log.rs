//! The line of a request in the log.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use domain::Problem;
use domain::problem_types::requests::NO_SUCH_ADDRESS;
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use web::request_log::{self, CallerId, FailureCause};
use web::{catch_panic, problem, request_id};

use crate::exchange::{request, send};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

async fn authenticated(request: Request) -> StatusCode {
    CallerId::set(request.extensions(), "ann");
    CallerId::set(request.extensions(), "eve");
    StatusCode::OK
}

async fn fails() -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    let error = io::Error::other("the disk is full");
    FailureCause::attach(&mut response, &error);
    response
}

async fn panics() -> StatusCode {
    panic!("index out of bounds")
}

async fn not_found() -> Response {
    problem::response(Problem::new(&NO_SUCH_ADDRESS, "there is nothing"))
}

fn router() -> Router {
    let quiet = Router::new().route("/poll", post(authenticated)).layer(from_fn(request_log::log_at_debug));
    Router::new()
        .route("/item/{id}", get(authenticated).post(authenticated))
        .route("/fails", get(fails))
        .route("/panics", get(panics))
        .merge(quiet)
        .fallback(not_found)
        .layer(catch_panic::layer(catch_panic::internal_error))
        .layer(from_fn(request_log::record))
        .layer(from_fn(request_id::assign))
}

/// The lines that a request leaves, as the JSON of `tracing-subscriber`.
async fn lines(method: &str, uri: &str) -> Vec<Value> {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().json().with_env_filter("web=debug").with_writer(log.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    send(&router(), request(method, uri, &[("x-request-id", "r-1")])).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The level and the fields of the one line that a request leaves.
async fn line(method: &str, uri: &str) -> (String, Value) {
    let [line] = &lines(method, uri).await[..] else { panic!("{method} {uri} leaves one line") };
    let mut fields = line["fields"].clone();
    assert!(fields["duration_ms"].is_u64(), "{fields}");
    fields.as_object_mut().unwrap().remove("duration_ms");
    (line["level"].as_str().unwrap().to_owned(), fields)
}

#[tokio::test]
async fn a_line_names_the_route_and_the_caller_but_not_the_path() {
    let (level, fields) = line("POST", "/item/4711?secret=1").await;
    assert_eq!(level, "INFO");
    let expected = json!({"message": "POST /item/{id} was answered with 200", "http.request.method": "POST", "http.route": "/item/{id}", "http.response.status_code": 200,
        "request.id": "r-1", "caller.id": "ann"});
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn reading_and_frequent_routes_are_logged_at_debug() {
    assert_eq!(line("GET", "/item/1").await.0, "DEBUG");
    assert_eq!(line("POST", "/poll").await.0, "DEBUG");
}

#[tokio::test]
async fn an_unknown_path_is_unmatched_and_names_its_problem() {
    let (level, fields) = line("GET", "/nowhere/4711").await;
    assert_eq!(level, "INFO");
    let expected = json!({"message": "GET unmatched was answered with 404", "http.request.method": "GET", "http.route": "unmatched", "http.response.status_code": 404,
        "request.id": "r-1", "problem": "no-such-address"});
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn a_failure_is_logged_once_with_its_cause() {
    let (level, fields) = line("GET", "/fails").await;
    assert_eq!(level, "ERROR");
    let expected = json!({"message": "GET /fails was answered with 500", "http.request.method": "GET", "http.route": "/fails", "http.response.status_code": 500,
        "request.id": "r-1", "error": "the disk is full"});
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn a_panic_is_logged_once_with_its_message() {
    let (level, fields) = line("GET", "/panics").await;
    assert_eq!(level, "ERROR");
    assert_eq!(fields["error"], "a handler panicked: index out of bounds");
    assert_eq!((&fields["http.response.status_code"], &fields["problem"]), (&json!(500), &json!("internal")));
}
