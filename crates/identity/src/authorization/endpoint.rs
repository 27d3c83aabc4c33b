//! `/connect/authorize`: signs the person in if need be, asks for consent if the client needs it, and sends the code.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::authorization::answer::{ErrorCode, Refusal};
use crate::authorization::consent;
use crate::authorization::request::AuthorizationRequest;
use crate::authorization::sending::send_code;
use crate::form_body::{Form, InvalidForm};
use crate::pages::error::PageError;
use crate::pages::login;
use crate::pages::render::redirect;
use crate::pages::return_url::AUTHORIZATION_PAGE;
use crate::pages::visitor::Visitor;

/// `GET /connect/authorize`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.unwrap_or_default();
    match answer(&app, &visitor, &query).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response_of(&app.settings.issuer),
    }
}

/// `POST /connect/authorize`: the same parameters in a form (OpenID Connect Core 1.0, section 3.1.2.1). The browser sends them once more, by
/// GET, so that a sign-in can come between.
pub(crate) async fn submit(form: Result<Form, InvalidForm>) -> Result<Response, PageError> {
    Ok(redirect(&format!("{AUTHORIZATION_PAGE}?{}", form?.to_query())))
}

async fn answer(app: &App, visitor: &Visitor, query: &str) -> Result<Response, Refusal> {
    let parameters = Form::parse(query.as_bytes()).map_err(|_| Refusal::Page(PageError::Query))?;
    let request = AuthorizationRequest::parse(&parameters, &app.clients)?;
    let signed_in =
        visitor.signed_in().filter(|signed_in| !request.needs_new_sign_in(signed_in.at, app.clock.now()));
    let Some(signed_in) = signed_in else {
        if request.is_silent() {
            return Err(request.destination.refuse(ErrorCode::LoginRequired, "nobody is signed in"));
        }
        // Without `prompt`: whoever comes back has just signed in.
        let query = parameters.without("prompt").to_query();
        let address = format!("{AUTHORIZATION_PAGE}?{query}");
        return Ok(redirect(&login::address(&address, request.login_hint.as_deref())));
    };
    if needs_consent(app, &request, signed_in.account).await? {
        if request.is_silent() {
            return Err(request
                .destination
                .refuse(ErrorCode::ConsentRequired, "the person must allow it first"));
        }
        return Ok(consent::page(&request, signed_in.account, query));
    }
    send_code(app, &request, &signed_in).await
}

async fn needs_consent(
    app: &App,
    request: &AuthorizationRequest<'_>,
    account: &Account,
) -> Result<bool, Refusal> {
    let client = request.client;
    Ok(request.asks_for_consent()
        || client.needs_consent && !app.consents.covers(account.id, &client.id, &request.scopes).await?)
}
