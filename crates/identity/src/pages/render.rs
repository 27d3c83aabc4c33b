//! Responses with a page or a redirect.

use std::error::Error;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

/// A page with this status.
pub(crate) fn render(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("a template renders into memory");
    (status, Html(html)).into_response()
}

/// Status 303: the browser fetches `location` with GET, so that a reload does not send the form again.
pub(crate) fn redirect(location: &str) -> Response {
    Redirect::to(location).into_response()
}

/// The text of an error as a sentence: with a capital letter and a full stop.
pub(crate) fn sentence(error: &impl Error) -> String {
    let text = error.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}
