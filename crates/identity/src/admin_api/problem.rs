//! Why not: a problem document (RFC 9457) that names the field and the rule.

use std::error::Error;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use serde::Serialize;
use tracing::error;

use crate::authentication::password_hashing::HashingQueueFull;

/// Why a request about accounts is refused.
pub(crate) enum Refusal {
    NoToken,
    BadToken,
    NotAdmin,
    NotFound,
    NameTaken,
    /// Without an administrator nobody could make one.
    LastAdmin,
    Query,
    /// A change that changes nothing.
    Unchanged,
    NoJson(serde_json::Error),
    Shape(serde_json::Error),
    Field {
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

impl Refusal {
    pub(crate) fn field(pointer: &'static str, rule: &dyn Error) -> Self {
        Self::Field { pointer, rule: rule.to_string() }
    }

    fn face(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "unauthenticated", "Not signed in"),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "invalid-token", "The token is not valid"),
            Self::NotAdmin => (StatusCode::FORBIDDEN, "role-missing", "The role is missing"),
            Self::NotFound => (StatusCode::NOT_FOUND, "no-such-user", "No such user"),
            Self::NameTaken => (StatusCode::CONFLICT, "name-taken", "The name is taken"),
            Self::LastAdmin => (StatusCode::CONFLICT, "last-administrator", "The last administrator"),
            Self::Query | Self::NoJson(_) => {
                (StatusCode::BAD_REQUEST, "malformed", "The request cannot be read")
            }
            Self::Unchanged | Self::Shape(_) | Self::Field { .. } => {
                (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request breaks a rule")
            }
            Self::HashingQueueFull => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Too busy"),
            Self::Database(error) if error.is_unavailable() => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A part is away")
            }
            Self::Database(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::NoToken => "send a bearer token in the Authorization header".to_owned(),
            Self::BadToken => "the token is not valid here, or not any more".to_owned(),
            Self::NotAdmin => "this wants a person's token with the role Admin".to_owned(),
            Self::NotFound => "there is no account of that name".to_owned(),
            Self::NameTaken => "there is an account of that name".to_owned(),
            Self::LastAdmin => "this is the last administrator: make another one before".to_owned(),
            Self::Query => "limit is 1 to 1000, after is a name; there is nothing else to ask for".to_owned(),
            Self::Unchanged => "say what is to change: role, disabled, or both".to_owned(),
            Self::NoJson(error) | Self::Shape(error) => error.to_string(),
            Self::Field { rule, .. } => rule.clone(),
            Self::HashingQueueFull => HashingQueueFull.to_string(),
            Self::Database(error) if error.is_unavailable() => "the database is away".to_owned(),
            Self::Database(_) => "the log has the cause".to_owned(),
        }
    }
}

impl From<DatabaseError> for Refusal {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<HashingQueueFull> for Refusal {
    fn from(_: HashingQueueFull) -> Self {
        Self::HashingQueueFull
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, slug, title) = self.face();
        let detail = self.detail();
        if let Self::Database(cause) = &self {
            error!(error = cause as &dyn Error, "a request about accounts failed");
        }
        let errors = match self {
            Self::Field { pointer, .. } => vec![Fault { pointer, detail: detail.clone() }],
            Self::Unchanged | Self::Shape(_) => vec![Fault { pointer: "", detail: detail.clone() }],
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
