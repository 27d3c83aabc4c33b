//! What the token endpoint says when it does not give a token: RFC 6749 §5.2 as one table.

use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use serde_json::json;
use tracing::error;

use crate::http::form::InvalidForm;
use crate::sign_in::Refusal;

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("{0}")]
    Form(#[from] InvalidForm),
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("no such client, or not its secret")]
    InvalidClient,
    #[error("no such user, not the password, or not now")]
    InvalidGrant,
    #[error("this client may not use this grant")]
    UnauthorizedClient,
    #[error("the grants are `password` and `client_credentials`")]
    UnsupportedGrantType,
    #[error("a scope is unknown, or not for this client")]
    InvalidScope,
    #[error("too many attempts from this address")]
    RateLimited(Duration),
    #[error("too many are asking: try again")]
    HashingQueueFull,
    #[error("the database does not answer: try again")]
    Unavailable(#[source] DatabaseError),
    #[error("something broke here; it has been logged")]
    Internal(#[source] DatabaseError),
}

impl TokenError {
    /// The one table from error to HTTP and to RFC 6749.
    fn face(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Form(form) => (form.status(), "invalid_request"),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "temporarily_unavailable"),
            Self::HashingQueueFull | Self::Unavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
            }
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited(after) => Some(*after),
            Self::HashingQueueFull | Self::Unavailable(_) => Some(Duration::from_secs(1)),
            _ => None,
        }
    }
}

impl From<DatabaseError> for TokenError {
    fn from(error: DatabaseError) -> Self {
        if error.is_unavailable() { Self::Unavailable(error) } else { Self::Internal(error) }
    }
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::BadCredentials => Self::InvalidGrant,
            Refusal::RateLimited(too_many) => Self::RateLimited(too_many.retry_after),
            Refusal::HashingQueueFull => Self::HashingQueueFull,
            Refusal::Database(error) => error.into(),
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        if let Self::Unavailable(cause) | Self::Internal(cause) = &self {
            error!(error = cause as &dyn std::error::Error, "no token: {self}");
        }
        let (status, error) = self.face();
        let body = json!({ "error": error, "error_description": self.to_string() });
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Basic realm="Tasker", charset="UTF-8""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(after) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, after.as_secs().into());
        }
        response
    }
}
