//! Which web pages of other origins may call the API (CORS).

use std::time::Duration;

use axum::http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH, LINK, LOCATION, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method};
use tower_http::cors::CorsLayer;

use crate::request_id::X_REQUEST_ID;

/// How long a browser may remember the answer to a preflight: the most that Chromium honours.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(2);

/// What pages may send beside what every page may.
const REQUEST_HEADERS: [HeaderName; 11] = [
    ACCEPT,
    AUTHORIZATION,
    CONTENT_TYPE,
    IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("prefer"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    X_REQUEST_ID,
    // Swagger UI and others send it with requests that no form could send.
    HeaderName::from_static("x-requested-with"),
];

/// What pages may read of an answer beside what every page may.
const ANSWER_HEADERS: [HeaderName; 10] = [
    ETAG,
    HeaderName::from_static("idempotent-replayed"),
    LINK,
    LOCATION,
    RETRY_AFTER,
    HeaderName::from_static("preference-applied"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    WWW_AUTHENTICATE,
    X_REQUEST_ID,
];

/// An invalid CORS origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an origin: write http://host or https://host, with :port if it is not the usual one, and nothing after it"
)]
pub struct InvalidOrigin(String);

/// Checks an origin: scheme, host, and a port if it is not the scheme's default, as browsers send it. Fails if browsers
/// would never send it, as a path, a user, an upper-case letter or a pattern (`*`) are never sent.
pub fn origin(text: &str) -> Result<HeaderValue, InvalidOrigin> {
    let invalid = || InvalidOrigin(text.to_owned());
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(invalid)?;
    let authority: Authority = rest.parse().map_err(|_| invalid())?;
    let (host, port) = (authority.host(), authority.port().map(|port| format!(":{port}")));
    let normalized = format!("{host}{}", port.unwrap_or_default());
    let is_sent = |b: u8| !b.is_ascii_uppercase() && b != b'*' && b != b'%';
    if host.is_empty() || normalized != rest || !rest.bytes().all(is_sent) {
        return Err(invalid());
    }
    HeaderValue::from_str(text).map_err(|_| invalid())
}

/// A layer that lets pages of these origins call the API, and no others. An invalid origin is logged and left out.
pub fn layer(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins
        .iter()
        .filter_map(|text| {
            origin(text)
                .inspect_err(|error| tracing::error!(%error, "a CORS origin is invalid and ignored"))
                .ok()
        })
        .collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(REQUEST_HEADERS)
        .expose_headers(ANSWER_HEADERS)
        .max_age(PREFLIGHT_MAX_AGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_a_host_and_a_port_and_nothing_else() {
        for good in
            ["https://pages.example", "http://localhost:5173", "http://127.0.0.1:80", "http://[::1]:8080"]
        {
            assert_eq!(origin(good).unwrap(), good);
        }
        for bad in [
            "*",
            "",
            "null",
            "pages.example",
            "https://",
            "https://*",
            "https://*.example",
            "https://a.example/",
            "https://a.example:",
            "https://a.example:x",
            "https://a.example:99999",
            "https://me@a.example",
            "https://A.example",
            "ftp://a.example",
            "https://a.example?x",
            "https://two words",
            "https://a\n",
        ] {
            assert!(origin(bad).unwrap_err().to_string().contains("is not an origin"), "{bad}");
        }
    }
}
