//! The error responses of the token endpoint (RFC 6749, section 5.2), as one table.

use axum::Json;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ServiceFailure;
use crate::form_body::InvalidForm;
use crate::sign_in::SignInError;

/// Why no token is issued (RFC 6749, section 5.2).
#[derive(Serialize, ToSchema)]
#[schema(examples(json!({"error": "invalid_grant", "error_description": "the user name or the password is wrong"})))]
pub(crate) struct OAuthError {
    /// The kind of error.
    #[schema(pattern = "^[a-z_]+$")]
    error: &'static str,
    /// The reason as a sentence.
    error_description: String,
}

/// Why no token is issued.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("{0}")]
    Form(#[from] InvalidForm),
    #[error("{0}")]
    InvalidRequest(&'static str),
    #[error("a browser sent this request from a page of another site")]
    CrossSite,
    #[error("Content-Encoding must be gzip or identity")]
    Encoding,
    #[error("the token endpoint takes POST requests only")]
    Method,
    #[error("the client is unknown, or its secret is wrong")]
    InvalidClient,
    #[error("the user name or the password is wrong, or the account cannot sign in now")]
    BadCredentials,
    #[error("the code or the refresh token is wrong, was used, or has expired")]
    InvalidGrant,
    #[error("nobody has allowed the device yet")]
    AuthorizationPending,
    #[error("the device asks too often: it must wait five seconds longer each time")]
    SlowDown,
    #[error("the person has not allowed it")]
    AccessDenied,
    #[error("nobody has allowed the device in time")]
    ExpiredToken,
    #[error("this client may not use this grant type")]
    UnauthorizedClient,
    #[error("this grant type does not exist here")]
    UnsupportedGrantType,
    #[error("a requested scope does not exist, or this client may not request it")]
    InvalidScope,
    #[error(transparent)]
    Service(ServiceFailure),
}

impl TokenError {
    /// The HTTP status and the error code. RFC 6749 has no code for a failure of the server at this endpoint, so those of the
    /// authorization endpoint (section 4.1.2.1) are used.
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Form(form) => (form.status(), "invalid_request"),
            Self::InvalidRequest(_) => (StatusCode::BAD_REQUEST, "invalid_request"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "invalid_request"),
            Self::Encoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request"),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request"),
            Self::InvalidClient => (StatusCode::UNAUTHORIZED, "invalid_client"),
            Self::BadCredentials | Self::InvalidGrant => (StatusCode::BAD_REQUEST, "invalid_grant"),
            Self::AuthorizationPending => (StatusCode::BAD_REQUEST, "authorization_pending"),
            Self::SlowDown => (StatusCode::BAD_REQUEST, "slow_down"),
            Self::AccessDenied => (StatusCode::BAD_REQUEST, "access_denied"),
            Self::ExpiredToken => (StatusCode::BAD_REQUEST, "expired_token"),
            Self::UnauthorizedClient => (StatusCode::BAD_REQUEST, "unauthorized_client"),
            Self::UnsupportedGrantType => (StatusCode::BAD_REQUEST, "unsupported_grant_type"),
            Self::InvalidScope => (StatusCode::BAD_REQUEST, "invalid_scope"),
            Self::Service(failure) => match failure.status() {
                StatusCode::INTERNAL_SERVER_ERROR => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
                status => (status, "temporarily_unavailable"),
            },
        }
    }
}

impl<E: Into<ServiceFailure>> From<E> for TokenError {
    fn from(error: E) -> Self {
        Self::Service(error.into())
    }
}

impl From<SignInError> for TokenError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials => Self::BadCredentials,
            SignInError::Service(failure) => Self::Service(failure),
        }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let (status, code) = self.status_and_code();
        let body = OAuthError { error: code, error_description: self.to_string() };
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Basic realm="Tasker", charset="UTF-8""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        match self {
            Self::Service(failure) => failure.annotate(response),
            _ => response,
        }
    }
}
