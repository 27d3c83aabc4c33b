//! `/Account`: the browsers and programs that are signed in to an account, each of which can be signed out.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::Timestamp;
use tracing::info;

use crate::app::App;
use crate::authentication::session_store::BrowserSession;
use crate::form_body::{Form, InvalidForm};
use crate::grants::grant_store::ClientAccess;
use crate::pages::error::PageError;
use crate::pages::notice::Notice;
use crate::pages::render::{redirect, render};
use crate::pages::return_url::{ACCOUNT_PAGE, LOGIN_PAGE, ReturnUrl};
use crate::pages::visitor::Visitor;
use crate::secret_token::TokenDigest;

#[derive(Template)]
#[template(path = "access.html")]
struct AccessPage<'a> {
    account: &'a str,
    notice: Option<String>,
    browsers: Vec<Browser>,
    programs: Vec<Program>,
}

/// A browser that is signed in.
struct Browser {
    id: String,
    is_this: bool,
    since: String,
    last_used: String,
}

/// A program that is signed in.
struct Program {
    id: String,
    name: String,
    since: String,
    last_used: String,
}

/// `GET /Account`
pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Result<Response, PageError> {
    let Some(signed_in) = visitor.signed_in() else {
        return Ok(redirect(&ReturnUrl::parse(Some(ACCOUNT_PAGE)).through_login()));
    };
    let account = signed_in.account;
    let browsers = app.sessions.of_account(account.id).await?;
    let programs = app.grants.of_account(account.id).await?;
    let page = AccessPage {
        account: &account.name,
        notice: visitor.notice.as_ref().map(Notice::sentence),
        browsers: browsers.iter().map(|session| Browser::of(session, signed_in.session)).collect(),
        programs: programs.into_iter().map(|access| Program::of(&app, access)).collect(),
    };
    Ok(visitor.saying_notice(&app.settings, render(StatusCode::OK, &page)))
}

/// `POST /Account`: signs out a browser or a program. What is not the account's own changes nothing.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let Some(account) = &visitor.account else { return Ok(redirect(LOGIN_PAGE)) };
    let mut response = redirect(ACCOUNT_PAGE);
    if let Some(session) = form.value("session").and_then(TokenDigest::parse) {
        app.sessions.end_of_account(session, account.id).await?;
        info!(target: "audit", { audit.event = "session_ended", account.id = %account.id }, "{} signed another browser out", account.id);
        Notice::SessionEnded.add_to(&app.settings, &mut response);
    } else if let Some(client) = form.value("client") {
        app.consents.withdraw(account.id, client).await?;
        app.grants.end_of_client(account.id, client).await?;
        info!(target: "audit", { audit.event = "grant_ended", account.id = %account.id, client.id = client }, "{} ended the access of {client}", account.id);
        Notice::GrantEnded.add_to(&app.settings, &mut response);
    }
    Ok(response)
}

impl Browser {
    fn of(session: &BrowserSession, this: TokenDigest) -> Self {
        Self {
            id: session.digest.to_string(),
            is_this: session.digest == this,
            since: minute(session.started_at),
            last_used: minute(session.last_used_at),
        }
    }
}

impl Program {
    fn of(app: &App, access: ClientAccess) -> Self {
        let name = app.clients.find(&access.client).map(|client| client.name.clone());
        Self {
            name: name.unwrap_or_else(|| access.client.clone()),
            id: access.client,
            since: minute(access.since),
            last_used: minute(access.last_used_at),
        }
    }
}

/// An instant in UTC, to the minute.
fn minute(micros: i64) -> String {
    let text = Timestamp(micros).to_string();
    text.get(..16).map_or(text.clone(), |minute| format!("{} UTC", minute.replace('T', " ")))
}
