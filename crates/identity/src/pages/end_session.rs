//! `/connect/endsession`: a client sends a person to sign out (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use crate::app::App;
use crate::clients::redirect_uri;
use crate::form_body::{Form, InvalidForm};
use crate::pages::error::PageError;
use crate::pages::form_targets;
use crate::pages::logout;
use crate::pages::render::render;
use crate::pages::visitor::Visitor;
use crate::tokens::id_token;

#[derive(Template)]
#[template(path = "end_session.html")]
struct EndSessionPage<'a> {
    account: Option<&'a str>,
    /// The query of the request, which the form sends along.
    request: String,
}

/// What a client asks for, as far as it may.
struct EndSession {
    /// Whether the client proves with an ID token that it means the person who is signed in: then they are not asked.
    is_proven: bool,
    /// Where the person is sent afterwards.
    destination: Option<String>,
}

/// `GET /connect/endsession`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Result<Response, PageError> {
    let form = Form::parse(query.unwrap_or_default().as_bytes()).map_err(|_| PageError::Query)?;
    answer(&app, visitor, &form, false).await
}

/// `POST /connect/endsession`: the same parameters in a form, or the consent of the person.
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    if form.value("confirmed").is_none() {
        return answer(&app, visitor, &form, false).await;
    }
    let request = Form::parse(form.value_or_empty("request").as_bytes()).map_err(|_| PageError::Query)?;
    answer(&app, visitor, &request, true).await
}

async fn answer(app: &App, visitor: Visitor, form: &Form, is_confirmed: bool) -> Result<Response, PageError> {
    let request = EndSession::of(app, &visitor, form);
    if request.is_proven || is_confirmed {
        return logout::end(app, visitor, request.destination.as_deref()).await;
    }
    let account = visitor.account.as_ref().map(|account| account.name.as_str());
    let page = render(StatusCode::OK, &EndSessionPage { account, request: form.to_query() });
    Ok(match request.destination {
        Some(destination) => form_targets::allow(page, &redirect_uri::origin(&destination)),
        None => page,
    })
}

impl EndSession {
    fn of(app: &App, visitor: &Visitor, form: &Form) -> Self {
        let hint = form.value("id_token_hint").and_then(|token| id_token::read_hint(app, token));
        let is_proven = match (&hint, &visitor.account) {
            (Some(hint), Some(account)) => hint.sub == account.id,
            // Whoever is signed out already needs not be asked.
            (Some(_), None) => true,
            (None, _) => false,
        };
        let named = form.value("client_id");
        let client = match &hint {
            Some(hint) if named.is_some_and(|named| named != hint.aud) => None,
            Some(hint) => app.clients.find(&hint.aud),
            None => named.and_then(|id| app.clients.find(id)),
        };
        let is_registered =
            |uri: &&str| client.is_some_and(|client| client.has_post_logout_redirect_uri(uri));
        let uri = form.value("post_logout_redirect_uri").filter(is_registered);
        let destination = uri.map(|uri| match form.value("state") {
            Some(state) => redirect_uri::with_parameters(uri, [("state", state)]),
            None => uri.to_owned(),
        });
        Self { is_proven, destination }
    }
}
