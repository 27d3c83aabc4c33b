//! Compression of answers.

use std::convert::Infallible;
use std::io::Read;
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn;
use axum::routing::get;
use domain::Problem;
use domain::problem_types::requests::NO_SUCH_ADDRESS;
use flate2::read::GzDecoder;
use futures_util::{Stream, stream};
use web::{compression, problem, request_id};

use crate::exchange::{Answer, request, send};

/// Long enough to be worth compressing.
static LONG: LazyLock<String> = LazyLock::new(|| "a text that repeats and ".repeat(50));

fn router() -> Router {
    let failing = async || problem::response(Problem::new(&NO_SUCH_ADDRESS, &**LONG));
    let events = async || ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(chunks()));
    let routes = Router::new()
        .route("/file", get(async || LONG.as_str()))
        .route("/small", get(async || "x".repeat(1023)))
        .route("/stream", get(async || Body::from_stream(chunks())))
        .route("/events", get(events))
        .route("/problem", get(failing));
    compression::gzip(routes).route("/secret", get(async || LONG.as_str())).layer(from_fn(request_id::assign))
}

/// A body of unknown length.
fn chunks() -> impl Stream<Item = Result<&'static str, Infallible>> + Send + 'static {
    stream::iter([Ok("data: one\n\n"), Ok("data: two\n\n")])
}

fn decompressed(answer: &Answer) -> String {
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut text = String::new();
    GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap();
    text
}

#[tokio::test]
async fn routes_inside_the_layer_are_compressed_for_clients_that_accept_it() {
    for accepted in ["br, gzip;q=0.5", "X-GZIP", "identity;q=0, gzip", "*;q=0, gzip"] {
        let answer = send(&router(), request("GET", "/file", &[("accept-encoding", accepted)])).await;
        assert_eq!(decompressed(&answer), *LONG, "{accepted}");
        assert_eq!(answer.header("vary"), "accept-encoding");
    }
    for headers in [&[][..], &[("accept-encoding", "br")], &[("accept-encoding", "gzip;q=0")]] {
        let answer = send(&router(), request("GET", "/file", headers)).await;
        assert_eq!((answer.header("content-encoding"), answer.text()), ("", LONG.as_str()));
        assert_eq!(answer.header("vary"), "accept-encoding", "a cache keeps both");
    }
}

#[tokio::test]
async fn a_stream_is_compressed_and_neither_small_answers_nor_event_streams_are() {
    let gzip = &[("accept-encoding", "gzip")];
    let answer = send(&router(), request("GET", "/stream", gzip)).await;
    assert_eq!(decompressed(&answer), "data: one\n\ndata: two\n\n");
    for path in ["/small", "/events"] {
        let answer = send(&router(), request("GET", path, gzip)).await;
        assert_eq!((answer.header("content-encoding"), answer.header("vary")), ("", ""), "{path}");
    }
}

/// The request has had its effect when its answer is encoded.
#[tokio::test]
async fn an_answer_keeps_its_status_though_no_encoding_is_accepted() {
    for accepted in ["identity;q=0", "*;q=0", "br;q=1, identity;q=0, *;q=0"] {
        let answer = send(&router(), request("GET", "/file", &[("accept-encoding", accepted)])).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, LONG.as_str()), "{accepted}");
    }
}

#[tokio::test]
async fn routes_outside_the_layer_are_never_compressed() {
    let answer = send(&router(), request("GET", "/secret", &[("accept-encoding", "gzip")])).await;
    assert_eq!((answer.header("content-encoding"), answer.text()), ("", LONG.as_str()));
}

#[tokio::test]
async fn a_problem_that_was_compressed_is_readable_after_its_instance_was_added() {
    let answer = send(&router(), request("GET", "/problem", &[("accept-encoding", "gzip")])).await;
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.json()["detail"], *LONG);
}
