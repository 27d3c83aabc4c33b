//! The time limit of requests.

use std::future::pending;
use std::time::Duration;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use tokio::time::{Instant, timeout};
use web::timeout::{RequestDeadline, TimeLimit, Wait, allow_wait, enforce};

use crate::exchange::{request, send};

const MINUTE: Duration = Duration::from_mins(1);

/// Shorter than what `/waiting` takes.
const SHORT: Duration = Duration::from_millis(5);

fn timed_out() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the request took too long").into_response()
}

/// The minutes that the header `wait` holds.
fn requested_wait(request: &Request) -> Duration {
    let minutes = request.headers().get("wait").and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    MINUTE * minutes.unwrap_or(0)
}

/// A long poll that ends without an event.
async fn wait() -> &'static str {
    let ended = timeout(SHORT * 4, pending::<()>()).await;
    if ended.is_err() { "no event" } else { "an event" }
}

/// The whole minutes that a handler has.
async fn answer_deadline(Extension(deadline): Extension<RequestDeadline>) -> String {
    let left = deadline.answer_deadline() - Instant::now() + MINUTE / 2;
    (left.as_secs() / 60).to_string()
}

fn router(limit: Duration) -> Router {
    let waiting = Router::new()
        .route("/waiting", get(wait))
        .route("/waiting/endless", get(pending::<()>))
        .route("/waiting/answer-by", get(answer_deadline))
        .layer(from_fn_with_state(requested_wait as Wait, allow_wait));
    Router::new()
        .route("/endless", get(pending::<()>))
        .route("/answer-by", get(answer_deadline))
        .merge(waiting)
        .layer(from_fn_with_state(TimeLimit::new(limit, timed_out), enforce))
}

#[tokio::test]
async fn a_request_ends_at_its_limit() {
    for uri in ["/endless", "/waiting/endless"] {
        let answer = send(&router(SHORT), request("GET", uri, &[])).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (503, "the request took too long"));
    }
}

#[tokio::test]
async fn a_wait_lengthens_only_the_routes_that_wait() {
    let waits = [("wait", "60")];
    let answer = send(&router(SHORT), request("GET", "/waiting", &waits)).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "no event"));
    let answer = timeout(MINUTE, send(&router(SHORT), request("GET", "/endless", &waits))).await;
    assert_eq!(answer.expect("the wait does not count here").status, 503);
}

#[tokio::test]
async fn a_handler_learns_when_to_answer_at_the_latest() {
    for (uri, minutes) in [("/answer-by", "9"), ("/waiting/answer-by", "29")] {
        let answer = send(&router(MINUTE * 10), request("GET", uri, &[("wait", "20")])).await;
        assert_eq!(answer.text(), minutes);
    }
}
