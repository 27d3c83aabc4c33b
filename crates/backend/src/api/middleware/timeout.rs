//! What bounds a request from outside: its time, its body, the origins that may send it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout};
use tower_http::cors::CorsLayer;

use crate::api::extract::prefer::Prefer;
use crate::app::App;
use crate::error::ApiError;
use crate::long_poll::queue;

/// A body, whole and within its limit.
pub(crate) struct RequestBody(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for RequestBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        match Bytes::from_request(request, state).await {
            Ok(bytes) => Ok(Self(bytes)),
            Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(ApiError::BodyTooLarge)
            }
            Err(BytesRejection::FailedToBufferBody(error)) => Err(ApiError::Malformed(error.body_text())),
            Err(other) => Err(ApiError::Malformed(other.body_text())),
        }
    }
}

/// When a handler that has an answer gives it at the latest: a moment before its request is ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseDeadline(pub(crate) Instant);

/// Ends a request that takes too long. What it asked to wait for is not counted.
pub(crate) async fn enforce_timeout(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let held = if request.uri().path() == "/api/Task/request" { queue::LONGEST } else { Duration::ZERO };
    let wait = Prefer::read(request.headers()).wait.unwrap_or(held);
    let ours = app.settings.request_timeout;
    let limit = ours + wait;
    request.extensions_mut().insert(ResponseDeadline(Instant::now() + limit - ours / 10));
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| ApiError::TimedOut.into_response())
}

/// What is no origin of web pages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no origin: write http://host or https://host, with :port if it is not the usual one, and nothing after it"
)]
pub struct InvalidOrigin(String);

/// An origin as browsers send it: scheme, host, and a port if it is not the scheme's own.
pub fn origin(text: &str) -> Result<HeaderValue, InvalidOrigin> {
    let bad = || InvalidOrigin(text.to_owned());
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).ok_or_else(bad)?;
    let authority: Authority = rest.parse().map_err(|_| bad())?;
    let (host, port) = (authority.host(), authority.port().map(|port| format!(":{port}")));
    // Neither a user nor an empty or unreadable port, nor a pattern; browsers send small letters.
    let whole = format!("{host}{}", port.unwrap_or_default());
    let sent = |b: u8| !b.is_ascii_uppercase() && b != b'*' && b != b'%';
    if host.is_empty() || whole != rest || !rest.bytes().all(sent) {
        return Err(bad());
    }
    HeaderValue::from_str(text).map_err(|_| bad())
}

/// Pages of these origins, and no others, may call the API. What is no origin allows nobody.
pub(crate) fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins
        .iter()
        .filter_map(|text| {
            origin(text).inspect_err(|error| tracing::error!(%error, "an origin is left out")).ok()
        })
        .collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH])
        .allow_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("prefer")])
        .expose_headers([LOCATION, RETRY_AFTER, HeaderName::from_static("preference-applied")])
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
            assert!(origin(bad).unwrap_err().to_string().contains("is no origin"), "{bad}");
        }
        drop(cors(&["*".to_owned()]));
    }
}
