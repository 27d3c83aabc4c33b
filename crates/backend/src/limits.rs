//! What bounds a request from outside: its time, its body, the origins that may send it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, Request, State};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::time::timeout;
use tower_http::cors::CorsLayer;

use crate::app::App;
use crate::error::ApiError;
use crate::prefer::Prefer;
use crate::pulls;

/// A body, whole and within its limit.
pub(crate) struct Payload(pub(crate) Bytes);

impl<S: Send + Sync> FromRequest<S> for Payload {
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

/// Ends a request that takes too long. What it asked to wait for is not counted.
pub(crate) async fn in_time(State(app): State<App>, request: Request, next: Next) -> Response {
    let held = if request.uri().path() == "/api/Task/request" { pulls::LONGEST } else { Duration::ZERO };
    let wait = Prefer::read(request.headers()).wait.unwrap_or(held);
    let limit = app.settings.request_timeout + wait;
    timeout(limit, next.run(request)).await.unwrap_or_else(|_| ApiError::TimedOut.into_response())
}

/// Pages of these origins, and no others, may call the API.
pub(crate) fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH])
        .allow_headers([ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("prefer")])
        .expose_headers([LOCATION, RETRY_AFTER, HeaderName::from_static("preference-applied")])
}
