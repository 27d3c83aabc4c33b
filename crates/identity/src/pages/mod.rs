//! The pages that people use. They work without JavaScript; what is wrong is said beside the field that is wrong.

pub(crate) mod assets;
pub(crate) mod error;
pub(crate) mod home;
pub(crate) mod invite;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod register;
pub(crate) mod return_url;
pub(crate) mod visitor;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};

pub(crate) use crate::pages::assets::{mark, style};
pub(crate) use error::{PageError, cross_site, not_found, panicked};
pub(crate) use home::home;
pub(crate) use invite::invite;
pub(crate) use login::{login, login_form};
pub(crate) use logout::logout;
pub(crate) use register::{register, register_form};

/// A page and its status.
fn show(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("a template renders into memory");
    (status, Html(html)).into_response()
}

/// 303: what was posted is done, and the next page is fetched.
fn redirect(place: &str) -> Response {
    Redirect::to(place).into_response()
}
