//! Error pages: one table from error to HTTP status and heading.

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
use crate::pages::render::{render, sentence};
use crate::sign_in::SignInError;

/// Why an error page is shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("there is no such page")]
    NotFound,
    #[error("another site sent this form, so nothing was done")]
    CrossSite,
    #[error("this form cannot be read: {0}")]
    Form(#[from] InvalidForm),
    #[error("this link has been used, has expired, or was never issued: ask for a new one")]
    RegistrationTokenInvalid,
    #[error("only an administrator may invite others")]
    NotAdmin,
    #[error("the roles are User, Worker and Admin")]
    UnknownRole,
    #[error("an account is created with an invitation, or by an administrator who is signed in")]
    RegistrationClosed,
    #[error("too many attempts came from your address: wait a little, then try again")]
    RateLimited(Duration),
    #[error("too many people are signing in right now: try again in a moment")]
    HashingQueueFull,
    #[error("the database does not answer: try again in a moment")]
    Unavailable(#[source] DatabaseError),
    #[error("an internal error occurred; it has been logged")]
    Internal(#[source] DatabaseError),
    #[error("an internal error occurred; it has been logged")]
    Panicked,
}

impl PageError {
    /// The HTTP status and the heading of the page.
    fn status_and_heading(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Page not found"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "Cross-site request refused"),
            Self::Form(form) => (form.status(), "Invalid form"),
            Self::RegistrationTokenInvalid => (StatusCode::FORBIDDEN, "Invalid link"),
            Self::NotAdmin => (StatusCode::FORBIDDEN, "Not allowed"),
            Self::UnknownRole => (StatusCode::UNPROCESSABLE_ENTITY, "Unknown role"),
            Self::RegistrationClosed => (StatusCode::FORBIDDEN, "Registration is closed"),
            Self::RateLimited(_) => (StatusCode::TOO_MANY_REQUESTS, "Too many attempts"),
            Self::HashingQueueFull => (StatusCode::SERVICE_UNAVAILABLE, "Too busy"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "Temporarily unavailable"),
            Self::Internal(_) | Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
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
    fn from(limited: RateLimited) -> Self {
        Self::RateLimited(limited.retry_after)
    }
}

impl From<HashingQueueFull> for PageError {
    fn from(_: HashingQueueFull) -> Self {
        Self::HashingQueueFull
    }
}

/// The error page for a sign-in error; `None` for wrong credentials, which the login page shows itself.
pub(crate) fn of_sign_in(error: SignInError) -> Option<PageError> {
    match error {
        SignInError::BadCredentials => None,
        SignInError::RateLimited(limited) => Some(limited.into()),
        SignInError::HashingQueueFull => Some(PageError::HashingQueueFull),
        SignInError::Database(error) => Some(error.into()),
    }
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    heading: &'static str,
    sentence: String,
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::Unavailable(cause) | Self::Internal(cause) = &self {
            error!(error = cause as &dyn std::error::Error, "a page could not be shown: the database failed");
        }
        let (status, heading) = self.status_and_heading();
        let mut response = render(status, &MessagePage { heading, sentence: sentence(&self) });
        if let Some(after) = self.retry_after() {
            response.headers_mut().insert(RETRY_AFTER, after.as_secs().into());
        }
        response
    }
}

/// The page for a path without a route.
pub(crate) async fn not_found() -> PageError {
    PageError::NotFound
}

/// The page for a request that a browser sent from another site.
pub(crate) fn cross_site(_: ProtectionError) -> Response {
    PageError::CrossSite.into_response()
}

/// The page after a panic in a handler; the panic's message is for the log only.
#[expect(clippy::needless_pass_by_value, reason = "the layer passes the cause by value")]
pub(crate) fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let message =
        cause.downcast_ref::<String>().map(String::as_str).or(cause.downcast_ref::<&str>().copied());
    error!(panic = message, "a handler panicked");
    PageError::Panicked.into_response()
}
