//! The error responses of the administrators' API: problem documents (RFC 9457) that name the field and the rule.

use std::error::Error;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use serde::Serialize;
use tracing::error;

use crate::authentication::password_hashing::HashingQueueFull;

/// Why a request is refused or failed.
pub(crate) enum ApiError {
    TokenMissing,
    TokenInvalid,
    NotAdmin,
    NotFound,
    NameTaken,
    /// No administrator would be left, and nobody could create one.
    LastAdmin,
    InvalidQuery,
    /// An update without a value to set.
    EmptyUpdate,
    MalformedJson(serde_json::Error),
    /// The body is JSON, but not the expected object.
    InvalidBody(serde_json::Error),
    /// A field breaks a rule.
    Field {
        /// The field as a JSON pointer (RFC 6901).
        pointer: &'static str,
        rule: String,
    },
    HashingQueueFull,
    Database(DatabaseError),
}

#[derive(Serialize)]
struct Problem {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

#[derive(Serialize)]
struct Fault {
    pointer: &'static str,
    detail: String,
}

impl ApiError {
    /// A field at `pointer` that breaks `rule`.
    pub(crate) fn field(pointer: &'static str, rule: &dyn Error) -> Self {
        Self::Field { pointer, rule: rule.to_string() }
    }

    /// The HTTP status, the last part of the problem's `type`, and its title.
    fn status_slug_title(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in"),
            Self::TokenInvalid => (StatusCode::UNAUTHORIZED, "invalid-token", "The token is not valid"),
            Self::NotAdmin => (StatusCode::FORBIDDEN, "role-missing", "The role is missing"),
            Self::NotFound => (StatusCode::NOT_FOUND, "no-such-user", "No such user"),
            Self::NameTaken => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
            Self::LastAdmin => (StatusCode::CONFLICT, "last-administrator", "The last administrator"),
            Self::InvalidQuery | Self::MalformedJson(_) => {
                (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read")
            }
            Self::EmptyUpdate | Self::InvalidBody(_) | Self::Field { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request breaks a rule")
            }
            Self::HashingQueueFull => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too busy"),
            Self::Database(error) if error.is_unavailable() => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A dependency is unavailable")
            }
            Self::Database(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::TokenMissing => "send a bearer token in the Authorization header".to_owned(),
            Self::TokenInvalid => "the token is expired, malformed or of another issuer".to_owned(),
            Self::NotAdmin => "the token must be that of an account with the role Admin".to_owned(),
            Self::NotFound => "there is no account with this name".to_owned(),
            Self::NameTaken => "there is already an account with this name".to_owned(),
            Self::LastAdmin => {
                "this is the last administrator: give another account the role first".to_owned()
            }
            Self::InvalidQuery => "the parameters are limit (1 to 1000) and after (a name)".to_owned(),
            Self::EmptyUpdate => "set role, disabled, or both".to_owned(),
            Self::MalformedJson(error) | Self::InvalidBody(error) => error.to_string(),
            Self::Field { rule, .. } => rule.clone(),
            Self::HashingQueueFull => HashingQueueFull.to_string(),
            Self::Database(error) if error.is_unavailable() => "the database does not answer".to_owned(),
            Self::Database(_) => "an internal error occurred; it has been logged".to_owned(),
        }
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<HashingQueueFull> for ApiError {
    fn from(_: HashingQueueFull) -> Self {
        Self::HashingQueueFull
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.status_slug_title();
        let detail = self.detail();
        if let Self::Database(cause) = &self {
            error!(error = cause as &dyn Error, "a request failed");
        }
        let errors = match self {
            Self::Field { pointer, .. } => vec![Fault { pointer, detail: detail.clone() }],
            Self::EmptyUpdate | Self::InvalidBody(_) => vec![Fault { pointer: "", detail: detail.clone() }],
            _ => Vec::new(),
        };
        let r#type = format!("urn:tasker:problem:{slug}");
        let body = Json(Problem { r#type, title, status: status.as_u16(), detail, errors });
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        match status {
            StatusCode::UNAUTHORIZED => {
                let challenge =
                    if slug == "unauthenticated" { "Bearer" } else { r#"Bearer error="invalid_token""# };
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        response
    }
}
