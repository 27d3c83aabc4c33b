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
use utoipa::ToSchema;
use uuid::Uuid;
use web::client_address::ClientAddress;
use web::request_log::CallerId;

use crate::app::App;
use crate::authentication::lockout::SignInSource;
use crate::authentication::rate_limit::RateLimit;
use crate::form_body::{Form, InvalidForm};
use crate::metrics;
use crate::oauth::client_authentication::OAuthClient;
use crate::oauth::error::{OAuthError, TokenError};
use crate::oauth::token_request::{GrantType, TokenRequest};
use crate::settings::Client;
use crate::sign_in::sign_in;
use crate::tokens::access_token::{self, TokenSubject};
use crate::tokens::scope::{CLIENT_SCOPES, Scopes, USER_SCOPES};
use web::network::network;

/// The header `Deprecation` (RFC 9745) with the date of RFC 9700 (January 2025), which forbids the password grant.
const DEPRECATION: (HeaderName, &str) = (HeaderName::from_static("deprecation"), "@1735689600");

/// A token (RFC 6749, section 5.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenResponse {
    /// The access token, a JWT (RFC 9068).
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// The lifetime in seconds.
    #[schema(minimum = 1, maximum = 86400)]
    expires_in: i64,
    /// The granted scopes, separated by blanks.
    scope: String,
}

/// A response with a token, and the account or client that it was issued to.
struct IssuedToken {
    caller: String,
    response: Response,
}

/// Get an access token
///
/// There is no refresh token, and no cookie is set. The form may have other parameters, which are ignored; the query must have none.
#[utoipa::path(post, path = "/connect/token", operation_id = "issueToken", tag = "Tokens", security((), ("client" = [])),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenResponse, description = "The token",
            headers(("Deprecation" = String, description = "With the grant `password`, since when it is deprecated (RFC 9745)"))),
        (status = 400, body = OAuthError, description = "The request is invalid, or the user name or the password is wrong"),
        (status = 401, body = OAuthError, description = "The client is unknown, or its secret is wrong"),
        (status = 403, body = OAuthError, description = "A browser sent the request from a page of another site"),
        (status = 413, body = OAuthError, description = "The form is too large"),
        (status = 415, body = OAuthError, description = "The body is not a form, or its `Content-Encoding` is neither gzip nor identity"),
        (status = 429, body = OAuthError, description = "Too many attempts came from this address"),
        (status = 503, body = OAuthError, description = "Too many passwords are being checked, or the database is unavailable"),
        (status = "default", body = OAuthError, description = "Any other error")))]
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
    app: &Arc<App>,
    client_address: IpAddr,
    headers: &HeaderMap,
    form: Result<Form, InvalidForm>,
) -> Result<IssuedToken, TokenError> {
    let form = form?;
    let request = TokenRequest::of(&form);
    let grant_type = request.grant_type()?;
    let client = authenticate_client(app, client_address, headers, &request).await?;
    match (grant_type, client) {
        (GrantType::Password, OAuthClient::Legacy(client_id)) => {
            let (account, token) = by_password(app, client_address, client_id, &request).await?;
            let response = ([DEPRECATION], Json(token)).into_response();
            Ok(IssuedToken { caller: account.to_string(), response })
        }
        (GrantType::ClientCredentials, OAuthClient::Confidential(client)) => {
            let response = Json(by_client_credentials(app, client, &request).await?).into_response();
            Ok(IssuedToken { caller: client.id.clone(), response })
        }
        _ => Err(TokenError::UnauthorizedClient),
    }
}

/// The client of the request. Failures count against a rate limit of the network, and are answered with 429 while it is exhausted. A right secret is accepted even then: others with the same address may have exhausted it, and a secret that a
/// program has is too long to be guessed.
async fn authenticate_client<'a>(
    app: &'a App,
    client_address: IpAddr,
    headers: &HeaderMap,
    request: &TokenRequest<'_>,
) -> Result<OAuthClient<'a>, TokenError> {
    let client = OAuthClient::authenticate(headers, request, &app.settings.clients);
    if let Err(TokenError::InvalidClient) = client {
        let pass = app.rate_limiter.check(RateLimit::Client, &network(client_address)).await??;
        app.rate_limiter.consume(pass).await?;
        info!(target: "audit", { audit.event = "client_refused", client.address = %client_address }, "refused an OAuth client from {client_address}");
    }
    client
}

/// The resource owner password credentials grant (RFC 6749, section 4.3).
async fn by_password(
    app: &Arc<App>,
    client_address: IpAddr,
    client_id: &str,
    request: &TokenRequest<'_>,
) -> Result<(Uuid, TokenResponse), TokenError> {
    let scopes = Scopes::grant(request.scope, USER_SCOPES).ok_or(TokenError::InvalidScope)?;
    let name = request.username.ok_or(TokenError::InvalidRequest("`username` is missing"))?;
    let password = request.password.ok_or(TokenError::InvalidRequest("`password` is missing"))?;
    let source = SignInSource { address: client_address, device: None };
    let account = sign_in(app, source, name, password.to_owned()).await?;
    info!(target: "audit", { audit.event = "token_issued", account.id = %account.id, client.id = client_id, grant = "password" }, "issued a token to {}", account.id);
    metrics::token_issued("password");
    let (sub, roles) = (account.id.to_string(), account.role.claims());
    let generation = account.token_generation;
    let subject = TokenSubject { sub, client: client_id, scopes: &scopes, roles, generation, amr: &["pwd"] };
    Ok((account.id, response(app, subject)))
}

/// The client credentials grant (RFC 6749, section 4.4).
async fn by_client_credentials(
    app: &App,
    client: &Client,
    request: &TokenRequest<'_>,
) -> Result<TokenResponse, TokenError> {
    let scopes = Scopes::grant(request.scope, CLIENT_SCOPES).ok_or(TokenError::InvalidScope)?;
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
