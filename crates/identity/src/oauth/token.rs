//! `POST /connect/token`: a password or a client's secret becomes an access token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::PRAGMA;
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::info;

use crate::app::App;
use crate::authentication::rate_limit::RateLimit;
use crate::http::client_address::Address;
use crate::http::form::{Form, InvalidForm};
use crate::metrics;
use crate::oauth::client_authentication::OAuthClient;
use crate::oauth::error::TokenError;
use crate::settings::Client;
use crate::sign_in::sign_in;
use crate::tokens::access_token::{self, TokenSubject};
use crate::tokens::scope::{CLIENT_SCOPES, Scopes, USER_SCOPES};

/// The password grant is deprecated since RFC 9700 (January 2025); RFC 9745 says so in a header.
const DEPRECATION: (HeaderName, &str) = (HeaderName::from_static("deprecation"), "@1735689600");

/// What is given (RFC 6749 §5.1). No refresh token, and no cookie.
#[derive(Serialize)]
pub(crate) struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: i64,
    scope: String,
}

/// The ways to a token.
enum CreationRight {
    Password,
    ClientCredentials,
}

/// `POST /connect/token`
pub(crate) async fn token(
    State(app): State<Arc<App>>,
    Address(from): Address,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    form: Result<Form, InvalidForm>,
) -> impl IntoResponse {
    let granted = match query {
        // What came in the query is in somebody's log by now: it must not work.
        Some(query) if !query.is_empty() => Err(TokenError::InvalidRequest("parameters belong in the body")),
        _ => grant(&app, from, &headers, form).await,
    };
    ([(PRAGMA, "no-cache")], granted)
}

async fn grant(
    app: &App,
    from: IpAddr,
    headers: &HeaderMap,
    form: Result<Form, InvalidForm>,
) -> Result<Response, TokenError> {
    let form = form?;
    let grant = match form.field("grant_type") {
        Some("password") => CreationRight::Password,
        Some("client_credentials") => CreationRight::ClientCredentials,
        Some(_) => return Err(TokenError::UnsupportedGrantType),
        None => return Err(TokenError::InvalidRequest("`grant_type` is missing")),
    };
    let caller = authenticate_client(app, from, headers, &form).await?;
    match (grant, caller) {
        (CreationRight::Password, OAuthClient::Legacy(client)) => {
            let granted = by_password(app, from, client, &form).await?;
            Ok(([DEPRECATION], Json(granted)).into_response())
        }
        (CreationRight::ClientCredentials, OAuthClient::Program(client)) => {
            Ok(Json(by_client(app, client, &form)?).into_response())
        }
        _ => Err(TokenError::UnauthorizedClient),
    }
}

/// The client; whoever guesses secrets of clients spends the same allowance as who guesses passwords.
async fn authenticate_client<'a>(
    app: &'a App,
    from: IpAddr,
    headers: &HeaderMap,
    form: &Form,
) -> Result<OAuthClient<'a>, TokenError> {
    let checked = app.throttle.check(RateLimit::SignIn, from).await?;
    checked.map_err(|too_many| TokenError::RateLimited(too_many.retry_after))?;
    let recognised = OAuthClient::authenticate_client(headers, form, &app.settings.clients);
    if let Err(TokenError::InvalidClient) = recognised {
        app.throttle.consume(RateLimit::SignIn, from).await?;
        info!(target: "audit", { audit.event = "client_refused", client.address = %from }, "refused a client from {from}");
    }
    recognised
}

async fn by_password(
    app: &App,
    from: IpAddr,
    client: &str,
    form: &Form,
) -> Result<TokenResponse, TokenError> {
    let scopes = Scopes::grant(form.field("scope"), USER_SCOPES).ok_or(TokenError::InvalidScope)?;
    let name = form.field("username").ok_or(TokenError::InvalidRequest("`username` is missing"))?;
    let password = form.field("password").ok_or(TokenError::InvalidRequest("`password` is missing"))?;
    let account = sign_in(app, name, password.to_owned(), from).await?;
    info!(target: "audit", { audit.event = "token_given", account.id = %account.id, client.id = client, grant = "password" }, "gave {} a token", account.id);
    metrics::token("password");
    let (sub, roles) = (account.id.to_string(), account.role.claims());
    Ok(granted(app, TokenSubject { sub, client, scopes: &scopes, roles, amr: &["pwd"] }))
}

fn by_client(app: &App, client: &Client, form: &Form) -> Result<TokenResponse, TokenError> {
    let scopes = Scopes::grant(form.field("scope"), CLIENT_SCOPES).ok_or(TokenError::InvalidScope)?;
    let Client { id, roles, .. } = client;
    info!(target: "audit", { audit.event = "token_given", client.id = id, grant = "client_credentials" }, "gave {id} a token");
    metrics::token("client_credentials");
    Ok(granted(
        app,
        TokenSubject { sub: id.clone(), client: id, scopes: &scopes, roles: roles.clone(), amr: &[] },
    ))
}

fn granted(app: &App, grantee: TokenSubject<'_>) -> TokenResponse {
    TokenResponse {
        scope: grantee.scopes.to_string(),
        access_token: access_token::access_token(app, grantee),
        token_type: "Bearer",
        expires_in: app.token_seconds(),
    }
}
