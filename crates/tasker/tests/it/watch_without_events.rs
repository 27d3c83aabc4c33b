//! `tasker watch` behind a reverse proxy that has no event streams.

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::kit::api_client::ApiClient;
use crate::kit::command::{run, tasker_command};
use crate::kit::tasker_up::TaskerUp;

/// Answers 404 to requests for the events of a task, and passes every other GET request to the Backend.
fn proxy(backend: String) -> Router {
    let pass = async move |request: Request| {
        let passed = reqwest::Client::new().get(format!("{backend}{}", request.uri()));
        let passed = passed.header(AUTHORIZATION, request.headers()[AUTHORIZATION].clone());
        let answer = passed.send().await.expect("the Backend answers");
        let (status, media_type) = (answer.status(), answer.headers()[CONTENT_TYPE].clone());
        (status, [(CONTENT_TYPE, media_type)], answer.bytes().await.expect("the Backend answers"))
    };
    Router::new().route("/api/Task/{id}/events", get(async || StatusCode::NOT_FOUND)).fallback(pass)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_is_waited_for_without_events_too() {
    let (up, elsewhere) = (TaskerUp::start(), tempfile::tempdir().unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = proxy(up.backend_url.clone());
    let serving = TaskTracker::new().spawn(async { axum::serve(listener, router).await.unwrap() });
    let _serving = AbortOnDropHandle::new(serving);
    let ann = ApiClient::register(&up.urls(), "ann").await;
    let submit = ["submit", "ECHO", r#"{"n": 1}"#, "--ttl", "60s", "--backend-url", &up.backend_url];
    let submitted = run(tasker_command(elsewhere.path(), submit).env("TASKER_TOKEN", ann.token()));
    let watch = ["watch", &submitted.stdout, "--backend-url", &url];
    let watched = run(tasker_command(elsewhere.path(), watch).env("TASKER_TOKEN", ann.token()));
    assert_eq!((watched.code, watched.stdout.as_str()), (0, r#"{"n": 1}"#), "{}", watched.stderr);
}
