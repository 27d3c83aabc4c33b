//! The page that asks a person to allow a client to act for them.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::authorization::answer::{ErrorCode, Refusal};
use crate::authorization::request::AuthorizationRequest;
use crate::authorization::sending::send_code;
use crate::clients::redirect_uri;
use crate::form_body::{Form, InvalidForm};
use crate::pages::error::PageError;
use crate::pages::form_targets;
use crate::pages::render::{redirect, render};
use crate::pages::return_url::AUTHORIZATION_PAGE;
use crate::pages::rights;
use crate::pages::visitor::Visitor;

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage<'a> {
    client: &'a str,
    account: &'a str,
    /// Where the person is sent back to.
    target: String,
    rights: Vec<&'static str>,
    /// The query of the request, which the form sends along.
    request: &'a str,
}

/// The page for a request with this query.
pub(crate) fn page(request: &AuthorizationRequest<'_>, account: &Account, query: &str) -> Response {
    let target = redirect_uri::origin(&request.destination.redirect_uri);
    let rights = request.scopes.iter().map(rights::sentence).collect();
    let (client, account) = (request.client.name.as_str(), account.name.as_str());
    let page = ConsentPage { client, account, target: target.clone(), rights, request: query };
    form_targets::allow(render(StatusCode::OK, &page), &target)
}

/// `POST /connect/consent`
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    match answer(&app, &visitor, &form).await {
        Ok(response) => Ok(response),
        Err(refusal) => Ok(refusal.into_response_of(&app.settings.issuer)),
    }
}

async fn answer(app: &App, visitor: &Visitor, form: &Form) -> Result<Response, Refusal> {
    let query = form.value_or_empty("request");
    let parameters = Form::parse(query.as_bytes()).map_err(|_| Refusal::Page(PageError::Query))?;
    let request = AuthorizationRequest::parse(&parameters, &app.clients)?;
    let now = app.clock.now();
    let signed_in = visitor.signed_in().filter(|signed_in| !request.needs_new_sign_in(signed_in.at, now));
    // The session has ended while the page was open: the request begins again.
    let Some(signed_in) = signed_in else {
        return Ok(redirect(&format!("{AUTHORIZATION_PAGE}?{query}")));
    };
    if form.value("decision") != Some("allow") {
        return Err(request.destination.refuse(ErrorCode::AccessDenied, "the person has not allowed it"));
    }
    app.consents.store(signed_in.account.id, &request.client.id, &request.scopes).await?;
    send_code(app, &request, &signed_in).await
}
