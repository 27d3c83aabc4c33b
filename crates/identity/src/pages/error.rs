//! What a page says when it cannot be shown: one table, and a page for it.

use std::any::Any;
use std::time::Duration;

use askama::Template;
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use tower_http::csrf::ProtectionError;
use tracing::error;

use crate::authentication::password_hashing::HashingQueueFull;
use crate::authentication::rate_limit::RateLimited;
use crate::http::form::InvalidForm;
use crate::pages::show;
use crate::sign_in::Refusal;

/// Why there is no such page now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("There is no such page here.")]
    NotFound,
    #[error("This form was sent by another site, so nothing was done.")]
    CrossSite,
    #[error("This form cannot be read: {0}.")]
    Form(#[from] InvalidForm),
    #[error("This link has been used, has expired, or was never given out. Ask for a new one.")]
    SpentProof,
    #[error("Only an administrator may invite others.")]
    NotAdmin,
    #[error("The roles are User, Worker and Admin.")]
    NoSuchRole,
    #[error(
        "Registration is closed. An account is made with an invitation, or by an administrator who is signed in."
    )]
    Closed,
    #[error("Too many attempts came from your address. Wait a little, then try again.")]
    RateLimited(Duration),
    #[error("Too many people are signing in right now. Try again in a moment.")]
    HashingQueueFull,
    #[error("The database does not answer. Try again in a moment.")]
    Unavailable(#[source] DatabaseError),
    #[error("Something broke here. It has been logged.")]
    Internal(#[source] DatabaseError),
    #[error("Something broke here. It has been logged.")]
    Panicked,
}

impl PageError {
    /// The one table from error to HTTP and to a heading.
    fn face(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Nothing here"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "Not from here"),
            Self::Form(form) => (form.status(), "Not a form"),
            Self::SpentProof => (StatusCode::FORBIDDEN, "This link does not work"),
            Self::NotAdmin => (StatusCode::FORBIDDEN, "Not allowed"),
            Self::NoSuchRole => (StatusCode::UNPROCESSABLE_ENTITY, "No such role"),
            Self::Closed => (StatusCode::FORBIDDEN, "Registration is closed"),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many attempts"),
            Self::HashingQueueFull | Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "Busy"),
            Self::Internal(_) | Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "Something broke"),
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

impl From<DatabaseError> for PageError {
    fn from(error: DatabaseError) -> Self {
        if error.is_unavailable() { Self::Unavailable(error) } else { Self::Internal(error) }
    }
}

impl From<RateLimited> for PageError {
    fn from(too_many: RateLimited) -> Self {
        Self::RateLimited(too_many.retry_after)
    }
}

impl From<HashingQueueFull> for PageError {
    fn from(_: HashingQueueFull) -> Self {
        Self::HashingQueueFull
    }
}

/// What the login page makes of a refusal; `None` is its own to show.
pub(super) fn of_refusal(refusal: Refusal) -> Option<PageError> {
    match refusal {
        Refusal::BadCredentials => None,
        Refusal::RateLimited(too_many) => Some(too_many.into()),
        Refusal::HashingQueueFull => Some(PageError::HashingQueueFull),
        Refusal::Database(error) => Some(error.into()),
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    heading: &'static str,
    sentence: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::Unavailable(cause) | Self::Internal(cause) = &self {
            error!(error = cause as &dyn std::error::Error, "a page could not be shown: the database failed");
        }
        let (status, heading) = self.face();
        let mut response = show(status, &Message { heading, sentence: self.to_string() });
        if let Some(after) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, after.as_secs().into());
        }
        response
    }
}

/// Every path that is none of ours.
pub(crate) async fn not_found() -> PageError {
    PageError::NotFound
}

/// A browser on another site sent it.
pub(crate) fn cross_site(_: ProtectionError) -> Response {
    PageError::CrossSite.into_response()
}

/// A handler panicked; its message is for the log only.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub(crate) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let said = cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
    error!(panic = said, "a handler panicked");
    PageError::Panicked.into_response()
}
