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
use crate::pages::form_targets;
use crate::pages::notice::Notice;
use crate::pages::query::PageQuery;
use crate::pages::render::{redirect, render};
use crate::pages::return_url::{DEFAULT_PAGE, LOGIN_PAGE, ReturnUrl};
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
    /// The name that a client expects to sign in.
    #[serde(rename = "Username")]
    username: Option<String>,
    /// Somebody who is signed in must do so again.
    #[serde(rename = "Again")]
    again: Option<String>,
}

/// The address of the page for somebody who must sign in, perhaps again, before they go on to `return_path`.
pub(crate) fn address(return_path: &str, username: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("ReturnUrl", return_path).append_pair("Again", "true");
    if let Some(username) = username {
        query.append_pair("Username", username);
    }
    format!("{LOGIN_PAGE}?{}", query.finish())
}

/// `GET /Auth/Login`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    PageQuery(query): PageQuery<LoginQuery>,
) -> Response {
    let return_url = ReturnUrl::parse(query.return_url.as_deref());
    if visitor.account.is_some() && query.again.is_none() {
        return redirect(if return_url == ReturnUrl::Login {
            DEFAULT_PAGE
        } else {
            return_url.as_location()
        });
    }
    let username = match &visitor.notice {
        Some(Notice::AccountCreated(name)) => name.as_str(),
        _ => query.username.as_deref().unwrap_or_default(),
    };
    let notice = visitor.notice.as_ref().map(Notice::sentence);
    let page = LoginPage { username, return_url: return_url.as_field(), notice, error: None };
    let page = visitor.saying_notice(&app.settings, render(StatusCode::OK, &page));
    leading_on(&app, page, &return_url)
}

/// The page, whose form may lead on to the client of the return URL.
fn leading_on(app: &App, page: Response, return_url: &ReturnUrl) -> Response {
    match form_targets::of_return_url(return_url, &app.clients) {
        Some(origin) => form_targets::allow(page, &origin),
        None => page,
    }
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
        Err(SignInError::BadCredentials) => return Ok(refusal(&app, username, &return_url)),
    };
    // The session before the sign-in ends, whoever set its cookie (session fixation).
    if let Some(session) = visitor.session {
        app.sessions.end(session).await?;
    }
    let mut response = redirect(return_url.as_location());
    if !visitor.start_session(&app, &account, &mut response).await? {
        return Ok(refusal(&app, username, &return_url));
    }
    info!(target: "audit", { audit.event = "signed_in", account.id = %account.id, client.address = %client_address }, "{} signed in", account.id);
    Ok(response)
}

/// The form again, with the one sentence for every refusal.
fn refusal(app: &App, username: &str, return_url: &ReturnUrl) -> Response {
    let field = return_url.as_field();
    let page = LoginPage { username, return_url: field, notice: None, error: Some(BAD_CREDENTIALS) };
    leading_on(app, render(StatusCode::UNPROCESSABLE_ENTITY, &page), return_url)
}
