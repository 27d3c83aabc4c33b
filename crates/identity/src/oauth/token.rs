//! `POST /connect/token` (RFC 6749): a user's password or a client's secret is exchanged for an access token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::PRAGMA;
use axum::http::{Extensions, HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::info;
use uuid::Uuid;
use web::client_address::ClientAddress;
use web::request_log::CallerId;

use crate::app::App;
use crate::authentication::rate_limit::{RateLimit, RateLimitPass, RateLimited};
use crate::form_body::{Form, InvalidForm};
use crate::metrics;
use crate::oauth::client_authentication::OAuthClient;
use crate::oauth::error::TokenError;
use crate::settings::Client;
use crate::sign_in::sign_in;
use crate::tokens::access_token::{self, TokenSubject};
use crate::tokens::scope::{CLIENT_SCOPES, Scopes, USER_SCOPES};

/// The header `Deprecation` (RFC 9745) with the date of RFC 9700 (January 2025), which forbids the password grant.
const DEPRECATION: (HeaderName, &str) = (HeaderName::from_static("deprecation"), "@1735689600");

/// A successful response (RFC 6749, section 5.1). There is no refresh token, and no cookie is set.
#[derive(Serialize)]
struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    /// The lifetime in seconds.
    expires_in: i64,
    scope: String,
}

/// A response with a token, and the account or client that it was issued to.
struct IssuedToken {
    caller: String,
    response: Response,
}

/// The supported values of `grant_type`.
enum GrantType {
    Password,
    ClientCredentials,
}

/// `POST /connect/token`
pub(crate) async fn issue(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    extensions: Extensions,
    form: Result<Form, InvalidForm>,
) -> impl IntoResponse {
    let result = match query {
        // URLs end up in logs, so a secret in the query is refused even if it is right.
        Some(query) if !query.is_empty() => {
            Err(TokenError::InvalidRequest("send parameters in the body, not in the query"))
        }
        _ => grant(&app, client_address, &headers, form).await,
    };
    let result = result.map(|granted| {
        CallerId::set(&extensions, granted.caller);
        granted.response
    });
    ([(PRAGMA, "no-cache")], result)
}

/// Authenticates the client and issues a token by the grant that it may use.
async fn grant(
    app: &App,
    client_address: IpAddr,
    headers: &HeaderMap,
    form: Result<Form, InvalidForm>,
) -> Result<IssuedToken, TokenError> {
    let form = form?;
    let grant_type = match form.value("grant_type") {
        Some("password") => GrantType::Password,
        Some("client_credentials") => GrantType::ClientCredentials,
        Some(_) => return Err(TokenError::UnsupportedGrantType),
        None => return Err(TokenError::InvalidRequest("`grant_type` is missing")),
    };
    let checked = app.rate_limiter.check(RateLimit::SignIn, client_address).await?;
    let client = authenticate_client(app, checked, headers, &form).await?;
    match (grant_type, client) {
        (GrantType::Password, OAuthClient::Legacy(client_id)) => {
            let pass = checked?;
            let (account, token) = by_password(app, pass, client_id, &form).await?;
            let response = ([DEPRECATION], Json(token)).into_response();
            Ok(IssuedToken { caller: account.to_string(), response })
        }
        (GrantType::ClientCredentials, OAuthClient::Confidential(client)) => {
            let response = Json(by_client_credentials(app, client, &form).await?).into_response();
            Ok(IssuedToken { caller: client.id.clone(), response })
        }
        _ => Err(TokenError::UnauthorizedClient),
    }
}

/// The client of the request. Failures count against the same rate limit as failed sign-ins, and are told nothing while it is
/// exhausted. A right secret is accepted even then: others with the same address may have exhausted it, and a secret that a
/// program has is too long to be guessed.
async fn authenticate_client<'a>(
    app: &'a App,
    checked: Result<RateLimitPass, RateLimited>,
    headers: &HeaderMap,
    form: &Form,
) -> Result<OAuthClient<'a>, TokenError> {
    let client = OAuthClient::authenticate(headers, form, &app.settings.clients);
    if let Err(TokenError::InvalidClient) = client {
        let pass = checked?;
        let client_address = pass.address;
        app.rate_limiter.consume(pass).await?;
        info!(target: "audit", { audit.event = "client_refused", client.address = %client_address }, "refused an OAuth client from {client_address}");
    }
    client
}

/// The resource owner password credentials grant (RFC 6749, section 4.3).
async fn by_password(
    app: &App,
    pass: RateLimitPass,
    client_id: &str,
    form: &Form,
) -> Result<(Uuid, TokenResponse), TokenError> {
    let scopes = Scopes::grant(form.value("scope"), USER_SCOPES).ok_or(TokenError::InvalidScope)?;
    let name = form.value("username").ok_or(TokenError::InvalidRequest("`username` is missing"))?;
    let password = form.value("password").ok_or(TokenError::InvalidRequest("`password` is missing"))?;
    let account = sign_in(app, pass, None, name, password.to_owned()).await?;
    info!(target: "audit", { audit.event = "token_issued", account.id = %account.id, client.id = client_id, grant = "password" }, "issued a token to {}", account.id);
    metrics::token_issued("password");
    let (sub, roles) = (account.id.to_string(), account.role.claims());
    let generation = account.token_generation;
    let subject = TokenSubject { sub, client: client_id, scopes: &scopes, roles, generation, amr: &["pwd"] };
    Ok((account.id, response(app, subject)))
}

/// The client credentials grant (RFC 6749, section 4.4).
async fn by_client_credentials(app: &App, client: &Client, form: &Form) -> Result<TokenResponse, TokenError> {
    let scopes = Scopes::grant(form.value("scope"), CLIENT_SCOPES).ok_or(TokenError::InvalidScope)?;
    let Client { id, roles, .. } = client;
    // Another Identity on this database may have started without the client.
    let generation = app.revocations.client_generation(id).await?.ok_or(TokenError::InvalidClient)?;
    info!(target: "audit", { audit.event = "token_issued", client.id = id, grant = "client_credentials" }, "issued a token to {id}");
    metrics::token_issued("client_credentials");
    let (sub, roles) = (id.clone(), roles.clone());
    let subject = TokenSubject { sub, client: id, scopes: &scopes, roles, generation, amr: &[] };
    Ok(response(app, subject))
}

fn response(app: &App, subject: TokenSubject<'_>) -> TokenResponse {
    TokenResponse {
        scope: subject.scopes.to_string(),
        access_token: access_token::issue(app, subject),
        token_type: "Bearer",
        expires_in: app.token_ttl_seconds(),
    }
}
