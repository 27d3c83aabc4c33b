//! The trace of a request. No tracer is installed here, so a trace that came is passed on and none begins.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use web::request_span::{self, RequestTrace, TraceRoots};

use crate::exchange::{request, send};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn a_handler_gets_the_trace_of_its_request_and_none_of_an_invalid_one() {
    let handler =
        async |RequestTrace(trace): RequestTrace| trace.map_or("none".to_owned(), |trace| trace.to_string());
    for roots in [&[][..], &[("GET", "/item/{id}")]] {
        let roots: TraceRoots = roots;
        let router = Router::new()
            .route("/item/{id}", get(handler))
            .layer(from_fn_with_state(roots, request_span::record));
        for (headers, seen) in [
            (&[("traceparent", TRACEPARENT)][..], TRACEPARENT),
            (&[("traceparent", "00-0-0-0")][..], "none"),
            (&[][..], "none"),
        ] {
            let answer = send(&router, request("GET", "/item/1", headers)).await;
            assert_eq!(answer.text(), seen, "{headers:?}");
        }
    }
}
