//! `Strict-Transport-Security` (RFC 6797): browsers reach this host over HTTPS only, from now on.

use axum::extract::Request;
use axum::http::header::{HOST, STRICT_TRANSPORT_SECURITY};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use domain::is_loopback_host;

/// A year. Subdomains are not included: they belong to others.
const A_YEAR: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// Middleware that adds the header, for a service that is reached over HTTPS. A request to a loopback name gets none: browsers apply
/// it to every port of the host, and so to every other program on the user's machine.
pub async fn add(request: Request, next: Next) -> Response {
    let is_loopback = is_to_loopback(request.headers());
    let mut response = next.run(request).await;
    if !is_loopback {
        response.headers_mut().entry(STRICT_TRANSPORT_SECURITY).or_insert(A_YEAR);
    }
    response
}

fn is_to_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    host.is_some_and(|host| is_loopback_host(host.host()))
}
