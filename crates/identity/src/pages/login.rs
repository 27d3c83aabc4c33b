//! The login page.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::response::Response;
use serde::Deserialize;
use tracing::info;

use super::{PageError, redirect, show};
use crate::app::App;
use crate::http::client_address::Address;
use crate::http::form::{Form, InvalidForm};
use crate::pages::error::of_refusal;
use crate::pages::return_url::{DEFAULT_PAGE, ReturnUrl};
use crate::pages::visitor::{Visitor, set_cookie};
use crate::sign_in::sign_in;

/// One sentence for every reason, so that nobody learns which names exist.
const NOT_THEM: &str = "The user name or the password is wrong, or there were too many misses: \
    then an account waits a while before it takes even the right password.";

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    username: &'a str,
    return_url: &'a str,
    error: Option<&'static str>,
}

#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    #[serde(rename = "ReturnUrl")]
    return_url: Option<String>,
}

/// `GET /Auth/Login`
pub(crate) async fn login_form(visitor: Visitor, Query(query): Query<LoginQuery>) -> Response {
    let return_url = ReturnUrl::parse(query.return_url.as_deref());
    if visitor.account.is_some() {
        return redirect(if return_url == ReturnUrl::Login {
            DEFAULT_PAGE
        } else {
            return_url.as_location()
        });
    }
    show(StatusCode::OK, &LoginPage { username: "", return_url: return_url.as_field(), error: None })
}

/// `POST /Auth/Login`
pub(crate) async fn login(
    State(app): State<Arc<App>>,
    Address(from): Address,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let return_url = ReturnUrl::parse(form.field("ReturnUrl"));
    let (username, password) = (form.text("Username"), form.text("Password"));
    let account = match sign_in(&app, username, password.to_owned(), from).await {
        Ok(account) => account,
        Err(refusal) => {
            return of_refusal(refusal).map_or_else(
                || {
                    let page =
                        LoginPage { username, return_url: return_url.as_field(), error: Some(NOT_THEM) };
                    Ok(show(StatusCode::UNPROCESSABLE_ENTITY, &page))
                },
                Err,
            );
        }
    };
    // The cookie from before is worth nothing afterwards, whoever put it there.
    if let Some(session) = visitor.session {
        app.sessions.end(session).await?;
    }
    let session = app.sessions.begin(account.id).await?;
    info!(target: "audit", { audit.event = "signed_in", account.id = %account.id, client.address = %from }, "{} signed in", account.id);
    let mut response = redirect(return_url.as_location());
    response.headers_mut().insert(SET_COOKIE, set_cookie(&app.settings, &session));
    Ok(response)
}
