//! The span of a request (W3C Trace Context): a child of the span that its `traceparent` names.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use domain::TraceContext;
use telemetry::{Span, SpanKind};
use web::request_metrics::method_label;

/// Middleware that records a span for each request with a `traceparent`; an invalid one counts as absent (section 3.2.2). A
/// request without one begins no trace: only a submission does.
pub(crate) async fn record_span(request: Request, next: Next) -> Response {
    let header = request.headers().get(TraceContext::HEADER).and_then(|value| value.to_str().ok());
    let parent: Option<TraceContext> = header.and_then(|text| text.parse().ok());
    if parent.is_none() {
        return next.run(request).await;
    }
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let mut span = Span::begin(format!("{method} {route}"), SpanKind::Server, parent);
    span.set_attribute("http.request.method", method);
    span.set_text_attribute("http.route", route);
    let response = next.run(request).await;
    let status = response.status();
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.failed(status.to_string());
    }
    response
}
