//! The span of a request (W3C Trace Context): a child of the span that its `traceparent` names.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use domain::TraceContext;
use telemetry::{Span, SpanKind};

use crate::request_metrics::method_label;

/// Method and route template of the requests that begin a trace of their own when their caller sends none.
pub type TraceRoots = &'static [(&'static str, &'static str)];

/// The span of this request, as the parent of what follows; `None`: the request is not traced.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestTrace(pub Option<TraceContext>);

impl<S: Send + Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// Middleware that records a span for a request that is part of a trace, and for every request of the [`TraceRoots`]. An
/// invalid `traceparent` is ignored (W3C Trace Context, section 3.2.2).
pub async fn record(State(roots): State<TraceRoots>, mut request: Request, next: Next) -> Response {
    let parent = request.headers().get(TraceContext::HEADER).and_then(|value| value.to_str().ok());
    let parent: Option<TraceContext> = parent.and_then(|text| text.parse().ok());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let method = method_label(request.method());
    if parent.is_none() && !roots.contains(&(method, route)) {
        return next.run(request).await;
    }
    let mut span = Span::begin(format!("{method} {route}"), SpanKind::Server, parent);
    span.set_attribute("http.request.method", method);
    span.set_text_attribute("http.route", route);
    request.extensions_mut().insert(RequestTrace(span.trace_context()));
    let response = next.run(request).await;
    let status = response.status();
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set_error(status.to_string());
    }
    response
}
