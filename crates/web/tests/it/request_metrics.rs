//! The histogram of requests.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusBuilder;
use web::request_metrics;

use crate::exchange::{request, send};

#[test]
fn requests_are_counted_by_method_route_and_status() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let router = Router::new()
        .route("/item/{id}", get(async || StatusCode::NO_CONTENT))
        .layer(from_fn_with_state("example_http_request_seconds", request_metrics::measure));
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            for (method, uri) in
                [("GET", "/item/1"), ("GET", "/item/2"), ("PURGE", "/item/1"), ("GET", "/no")]
            {
                send(&router, request(method, uri, &[])).await;
            }
        });
    });
    let text = rendered.render();
    for series in [
        r#"example_http_request_seconds_count{method="GET",route="/item/{id}",status="204"} 2"#,
        r#"example_http_request_seconds_count{method="other",route="/item/{id}",status="405"} 1"#,
        r#"example_http_request_seconds_count{method="GET",route="",status="404"} 1"#,
    ] {
        assert!(text.contains(series), "{series}\n{text}");
    }
}
