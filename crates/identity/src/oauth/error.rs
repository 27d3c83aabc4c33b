//! The error responses of the token endpoint (RFC 6749, section 5.2), as one table.

use std::time::Duration;

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use serde_json::json;
use tracing::error;

use crate::http::form::InvalidForm;
use crate::sign_in::SignInError;

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("{0}")]
    Form(#[from] InvalidForm),
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("the client is unknown, or its secret is wrong")]
    InvalidClient,
    #[error("the user name or the password is wrong, or the account cannot sign in now")]
    InvalidGrant,
    #[error("this client may not use this grant type")]
    UnauthorizedClient,
    #[error("the grant types are `password` and `client_credentials`")]
    UnsupportedGrantType,
    #[error("a scope is unknown, or this client may not request it")]
    InvalidScope,
    #[error("too many attempts from this address")]
    RateLimited(Duration),
    #[error("too many passwords are being checked: try again")]
    HashingQueueFull,
    #[error("the database does not answer: try again")]
    Unavailable(#[source] DatabaseError),
    #[error("an internal error occurred; it has been logged")]
    Internal(#[source] DatabaseError),
}

impl TokenError {
    /// The HTTP status and the error code of RFC 6749.
    fn status_and_code(&self) -> (StatusCode, &'static str) {
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

impl From<SignInError> for TokenError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials => Self::InvalidGrant,
            SignInError::RateLimited(limited) => Self::RateLimited(limited.retry_after),
            SignInError::HashingQueueFull => Self::HashingQueueFull,
            SignInError::Database(error) => error.into(),
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        if let Self::Unavailable(cause) | Self::Internal(cause) = &self {
            error!(error = cause as &dyn std::error::Error, "no token was issued: {self}");
        }
        let (status, code) = self.status_and_code();
        let body = json!({ "error": code, "error_description": self.to_string() });
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
