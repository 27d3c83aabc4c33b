//! Compression of answers.

use std::io::Read;

use axum::Router;
use axum::middleware::from_fn;
use axum::routing::get;
use domain::Problem;
use flate2::read::GzDecoder;
use web::{compression, problem, request_id};

use crate::exchange::{request, send};

const LONG: &str =
    "a text that is long enough to be worth compressing, since it repeats and repeats and repeats";

fn router() -> Router {
    let failing = async || problem::response(Problem::new(404, "no-such-file", "No such file", LONG));
    Router::new()
        .route("/file", get(async || LONG))
        .route("/problem", get(failing))
        .layer(compression::gzip())
        .route("/secret", get(async || LONG))
        .layer(from_fn(request_id::assign))
}

#[tokio::test]
async fn routes_inside_the_layer_are_compressed_for_clients_that_accept_it() {
    let answer = send(&router(), request("GET", "/file", &[("accept-encoding", "br, gzip;q=0.5")])).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    let mut text = String::new();
    GzDecoder::new(&*answer.body).read_to_string(&mut text).unwrap();
    assert_eq!(text, LONG);
    for headers in [&[][..], &[("accept-encoding", "br")], &[("accept-encoding", "gzip;q=0")]] {
        let answer = send(&router(), request("GET", "/file", headers)).await;
        assert_eq!((answer.header("content-encoding"), answer.text()), ("", LONG));
    }
}

#[tokio::test]
async fn routes_outside_the_layer_are_never_compressed() {
    let answer = send(&router(), request("GET", "/secret", &[("accept-encoding", "gzip")])).await;
    assert_eq!((answer.header("content-encoding"), answer.text()), ("", LONG));
}

#[tokio::test]
async fn a_problem_that_was_compressed_is_readable_after_its_instance_was_added() {
    let answer = send(&router(), request("GET", "/problem", &[("accept-encoding", "gzip")])).await;
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.json()["detail"], LONG);
}
