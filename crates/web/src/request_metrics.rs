//! Request metrics: how many requests there were, and how long they took, by method, route and status.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use metrics::histogram;

/// Middleware that records the seconds until the answer's head in the histogram of this name (its count is the number of
/// requests), with the labels `method`, `route` (the template that matched, or empty; never the path) and `status`.
pub async fn measure(State(histogram): State<&'static str>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let status = response.status().as_str().to_owned();
    histogram!(histogram, "method" => method, "route" => route, "status" => status).record(started.elapsed());
    response
}

/// The method as a label of metrics and spans: an unknown method, which may be any text, is `other`, so that callers cannot make
/// up new time series.
pub fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
