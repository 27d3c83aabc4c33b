//! Error pages: one table from error to HTTP status and heading.

use askama::Template;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use crate::api::problem::ApiError;
use crate::error::ServiceFailure;
use crate::form_body::InvalidForm;
use crate::pages::render::{render, sentence};

/// Why an error page is shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("there is no such page")]
    NotFound,
    #[error("this page does not support the method of the request")]
    WrongMethod,
    #[error("this form was sent by a page of another site, so it was ignored")]
    CrossSite,
    #[error("this form cannot be read: {0}")]
    Form(#[from] InvalidForm),
    #[error("the address of this page has a parameter that cannot be read")]
    Query,
    #[error("this form is compressed in a way that cannot be read")]
    Encoding,
    #[error("this link has been used, has expired, or was never issued: ask for a new one")]
    RegistrationTokenInvalid,
    #[error("the program that sent you here is not known to this server")]
    UnknownClient,
    #[error("the program that sent you here names an address to return to that it has not registered")]
    UnknownRedirectUri,
    #[error("only an administrator may invite others")]
    NotAdmin,
    #[error("the roles are User, Worker and Admin")]
    UnknownRole,
    #[error("an account is created with an invitation, or by an administrator who is signed in")]
    RegistrationClosed,
    #[error(transparent)]
    Service(ServiceFailure),
}

impl PageError {
    /// The HTTP status and the heading of the page.
    fn status_and_heading(&self) -> (StatusCode, &'static str) {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "Page not found"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "Wrong method"),
            Self::CrossSite => (StatusCode::FORBIDDEN, "Cross-site request refused"),
            Self::Form(form) => (form.status(), "Invalid form"),
            Self::Query => (StatusCode::BAD_REQUEST, "Invalid address"),
            Self::Encoding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Invalid form"),
            Self::RegistrationTokenInvalid => (StatusCode::FORBIDDEN, "Invalid link"),
            Self::UnknownClient | Self::UnknownRedirectUri => (StatusCode::BAD_REQUEST, "Unknown program"),
            Self::NotAdmin => (StatusCode::FORBIDDEN, "Not allowed"),
            Self::UnknownRole => (StatusCode::UNPROCESSABLE_ENTITY, "Unknown role"),
            Self::RegistrationClosed => (StatusCode::FORBIDDEN, "Registration is closed"),
            Self::Service(failure) => (failure.status(), failure.problem_type().title),
        }
    }
}

impl<E: Into<ServiceFailure>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self::Service(error.into())
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
        let (status, heading) = self.status_and_heading();
        let response = render(status, &MessagePage { heading, sentence: sentence(&self) });
        match self {
            Self::Service(failure) => failure.annotate(response),
            _ => response,
        }
    }
}

/// The page for a path without a route.
pub(crate) async fn not_found(uri: Uri) -> Response {
    let path = uri.path().to_ascii_lowercase();
    let is_for_programs =
        ["/api/", "/connect/", "/.well-known/"].iter().any(|prefix| path.starts_with(prefix));
    if is_for_programs { ApiError::NoRoute.into_response() } else { PageError::NotFound.into_response() }
}

/// The answer to a method that a page does not support.
pub(crate) async fn wrong_method() -> PageError {
    PageError::WrongMethod
}
