//! The login page.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tracing::info;
use web::client_address::ClientAddress;

use crate::app::App;
use crate::authentication::lockout::SignInSource;
use crate::form_body::{Form, InvalidForm};
use crate::pages::error::PageError;
use crate::pages::notice::Notice;
use crate::pages::query::PageQuery;
use crate::pages::render::{redirect, render};
use crate::pages::return_url::{DEFAULT_PAGE, ReturnUrl};
use crate::pages::visitor::Visitor;
use crate::sign_in::{SignInError, sign_in};

/// One sentence for every reason, so that nobody learns which names exist.
const BAD_CREDENTIALS: &str = "The user name or the password is wrong, or there were too many failed attempts: \
    then an account accepts even the right password only after a while.";

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage<'a> {
    username: &'a str,
    return_url: &'a str,
    notice: Option<String>,
    error: Option<&'static str>,
}

/// The query of the login page.
#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    #[serde(rename = "ReturnUrl")]
    return_url: Option<String>,
}

/// `GET /Auth/Login`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    PageQuery(query): PageQuery<LoginQuery>,
) -> Response {
    let return_url = ReturnUrl::parse(query.return_url.as_deref());
    if visitor.account.is_some() {
        return redirect(if return_url == ReturnUrl::Login {
            DEFAULT_PAGE
        } else {
            return_url.as_location()
        });
    }
    let username = match &visitor.notice {
        Some(Notice::AccountCreated(name)) => name.as_str(),
        _ => "",
    };
    let notice = visitor.notice.as_ref().map(Notice::sentence);
    let page = LoginPage { username, return_url: return_url.as_field(), notice, error: None };
    visitor.saying_notice(&app.settings, render(StatusCode::OK, &page))
}

/// `POST /Auth/Login`
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let return_url = ReturnUrl::parse(form.value("ReturnUrl"));
    let (username, password) = (form.value_or_empty("Username"), form.value_or_empty("Password"));
    let source = SignInSource { address: client_address, device: visitor.device() };
    let account = match sign_in(&app, source, username, password.to_owned()).await {
        Ok(account) => account,
        Err(SignInError::Service(failure)) => return Err(failure.into()),
        Err(SignInError::BadCredentials) => return Ok(refusal(username, &return_url)),
    };
    // The session before the sign-in ends, whoever set its cookie (session fixation).
    if let Some(session) = visitor.session {
        app.sessions.end(session).await?;
    }
    let mut response = redirect(return_url.as_location());
    if !visitor.start_session(&app, &account, &mut response).await? {
        return Ok(refusal(username, &return_url));
    }
    info!(target: "audit", { audit.event = "signed_in", account.id = %account.id, client.address = %client_address }, "{} signed in", account.id);
    Ok(response)
}

/// The form again, with the one sentence for every refusal.
fn refusal(username: &str, return_url: &ReturnUrl) -> Response {
    let return_url = return_url.as_field();
    let page = LoginPage { username, return_url, notice: None, error: Some(BAD_CREDENTIALS) };
    render(StatusCode::UNPROCESSABLE_ENTITY, &page)
}
