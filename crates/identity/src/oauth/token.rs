//! `POST /connect/token` (RFC 6749): a code, a refresh token, a client's secret or a user's password is exchanged for an access token.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::header::PRAGMA;
use axum::http::{Extensions, HeaderMap, HeaderName};
use axum::response::{AppendHeaders, IntoResponse};
use serde::Serialize;
use tracing::info;
use utoipa::ToSchema;
use uuid::Uuid;
use web::client_address::ClientAddress;
use web::network::network;
use web::request_log::CallerId;

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::authentication::lockout::SignInSource;
use crate::authentication::rate_limit::RateLimit;
use crate::clients::client::{Client, GrantType};
use crate::form_body::{Form, InvalidForm};
use crate::grants::device_store::Poll;
use crate::grants::grant_store::{Grant, NewGrant};
use crate::grants::refresh_token::RefreshToken;
use crate::metrics;
use crate::oauth::client_authentication::{self, SentCredentials};
use crate::oauth::error::{OAuthError, TokenError};
use crate::oauth::pkce;
use crate::oauth::token_request::TokenRequest;
use crate::scope::{Scope, Scopes};
use crate::secret_token::TokenDigest;
use crate::sign_in::sign_in;
use crate::tokens::access_token::{self, TokenSubject};
use crate::tokens::id_token;

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
    /// The refresh token, if the scope `offline_access` was granted. It is used once: the answer has the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    /// The ID token (OpenID Connect Core 1.0), if the scope `openid` was granted by a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

/// A token, and the account or client that it was issued to.
struct IssuedToken {
    caller: String,
    token: TokenResponse,
}

/// Get an access token
///
/// No cookie is set. The form may have other parameters, which are ignored; the query must have none.
#[utoipa::path(post, path = "/connect/token", operation_id = "issueToken", tag = "Tokens", security((), ("client" = [])),
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenResponse, description = "The token",
            headers(("Deprecation" = String, description = "With the grant `password`, since when it is deprecated (RFC 9745)"))),
        (status = 400, body = OAuthError, description = "The request is invalid, or the code, the refresh token or the password is wrong"),
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
    let result = result.map(|(grant, IssuedToken { caller, token })| {
        CallerId::set(&extensions, caller);
        let deprecation = (grant == GrantType::Password).then_some(AppendHeaders([DEPRECATION]));
        (deprecation, Json(token))
    });
    ([(PRAGMA, "no-cache")], result)
}

/// Authenticates the client and issues a token by the grant that it may use.
async fn grant(
    app: &Arc<App>,
    client_address: IpAddr,
    headers: &HeaderMap,
    form: Result<Form, InvalidForm>,
) -> Result<(GrantType, IssuedToken), TokenError> {
    let form = form?;
    let request = TokenRequest::of(&form);
    let grant_type = request.grant_type()?;
    let client = authenticate_client(app, client_address, headers, &SentCredentials::of(&form)).await?;
    if !client.may_use(grant_type) {
        return Err(TokenError::UnauthorizedClient);
    }
    let issued = match grant_type {
        GrantType::Password => by_password(app, client_address, client, &request).await,
        GrantType::ClientCredentials => by_client_credentials(app, client, &request).await,
        GrantType::AuthorizationCode => by_code(app, client, &request).await,
        GrantType::RefreshToken => by_refresh_token(app, client, &request).await,
        GrantType::DeviceCode => by_device_code(app, client, &request).await,
    }?;
    Ok((grant_type, issued))
}

/// The client of the request. Failures count against a rate limit of the network, and are answered with 429 while it is exhausted. A right
/// secret is accepted even then: others with the same address may have exhausted it, and a secret that a program has is too long to be
/// guessed.
pub(crate) async fn authenticate_client<'a>(
    app: &'a App,
    client_address: IpAddr,
    headers: &HeaderMap,
    sent: &SentCredentials<'_>,
) -> Result<&'a Client, TokenError> {
    let client = client_authentication::authenticate(headers, sent, &app.clients);
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
    client: &Client,
    request: &TokenRequest<'_>,
) -> Result<IssuedToken, TokenError> {
    let scopes = Scopes::grant(request.scope, &client.scopes).ok_or(TokenError::InvalidScope)?;
    let name = request.username.ok_or(TokenError::InvalidRequest("`username` is missing"))?;
    let password = request.password.ok_or(TokenError::InvalidRequest("`password` is missing"))?;
    let source = SignInSource { address: client_address, device: None };
    let account = sign_in(app, source, name, password.to_owned()).await?;
    log_issue(account.id, client, "password");
    let (sub, roles) = (account.id.to_string(), account.role.claims());
    let generation = account.token_generation;
    let subject = TokenSubject {
        sub,
        client: &client.id,
        scopes: &scopes,
        roles,
        generation,
        grant: None,
        amr: &["pwd"],
    };
    Ok(IssuedToken { caller: account.id.to_string(), token: TokenResponse::of(app, subject) })
}

/// The client credentials grant (RFC 6749, section 4.4). The scopes of OpenID Connect are refused, since there is no user to identify.
async fn by_client_credentials(
    app: &App,
    client: &Client,
    request: &TokenRequest<'_>,
) -> Result<IssuedToken, TokenError> {
    let allowed: Vec<Scope> =
        client.scopes.iter().copied().filter(|scope| *scope == Scope::TaskerWebApi).collect();
    let scopes = Scopes::grant(request.scope, &allowed).ok_or(TokenError::InvalidScope)?;
    let Client { id, roles, .. } = client;
    // Another Identity on this database may have started without the client.
    let generation = app.revocations.client_generation(id).await?.ok_or(TokenError::InvalidClient)?;
    info!(target: "audit", { audit.event = "token_issued", client.id = id, grant = "client_credentials" }, "issued a token to {id}");
    metrics::token_issued("client_credentials");
    let (sub, roles) = (id.clone(), roles.clone());
    let subject = TokenSubject { sub, client: id, scopes: &scopes, roles, generation, grant: None, amr: &[] };
    Ok(IssuedToken { caller: id.clone(), token: TokenResponse::of(app, subject) })
}

/// The authorization code grant (RFC 6749, section 4.1.3; RFC 7636, section 4.6). A code is used up whatever follows.
async fn by_code(app: &App, client: &Client, request: &TokenRequest<'_>) -> Result<IssuedToken, TokenError> {
    let code = request.code.ok_or(TokenError::InvalidRequest("`code` is missing"))?;
    let uri = request.redirect_uri.ok_or(TokenError::InvalidRequest("`redirect_uri` is missing"))?;
    let verifier = request.code_verifier.ok_or(TokenError::InvalidRequest("`code_verifier` is missing"))?;
    let (grant, refresh_token) = app.grants.redeem(code).await?.ok_or(TokenError::InvalidGrant)?;
    let is_same_client = grant.client == client.id && grant.redirect_uri.as_deref() == Some(uri);
    let is_verified =
        grant.code_challenge.as_deref().is_some_and(|challenge| pkce::is_verified(challenge, verifier));
    let account = valid_account(app, &grant).await?.filter(|_| is_same_client && is_verified);
    let Some(account) = account else {
        app.grants.end(grant.id).await?;
        return Err(TokenError::InvalidGrant);
    };
    log_issue(account.id, client, "authorization_code");
    let scopes = grant.scopes.clone();
    Ok(IssuedToken::to_user(app, client, &account, &grant, &scopes, Some(refresh_token)))
}

/// The refresh token grant (RFC 6749, section 6).
async fn by_refresh_token(
    app: &App,
    client: &Client,
    request: &TokenRequest<'_>,
) -> Result<IssuedToken, TokenError> {
    let token = request.refresh_token.ok_or(TokenError::InvalidRequest("`refresh_token` is missing"))?;
    let token = RefreshToken::parse(token).ok_or(TokenError::InvalidGrant)?;
    let grant = app.grants.find(token.grant).await?.filter(|grant| grant.client == client.id);
    let grant = grant.ok_or(TokenError::InvalidGrant)?;
    let scopes = grant.scopes.narrow(request.scope).ok_or(TokenError::InvalidScope)?;
    let Some(account) = valid_account(app, &grant).await? else {
        app.grants.end(grant.id).await?;
        return Err(TokenError::InvalidGrant);
    };
    let Some(next) = app.grants.rotate(&token).await? else {
        info!(target: "audit", { audit.event = "refresh_token_reused", account.id = %account.id, client.id = client.id }, "ended a grant of {} whose refresh token was used twice", account.id);
        return Err(TokenError::InvalidGrant);
    };
    log_issue(account.id, client, "refresh_token");
    Ok(IssuedToken::to_user(app, client, &account, &grant, &scopes, Some(next)))
}

/// The device authorization grant (RFC 8628, section 3.4).
async fn by_device_code(
    app: &App,
    client: &Client,
    request: &TokenRequest<'_>,
) -> Result<IssuedToken, TokenError> {
    let code = request.device_code.ok_or(TokenError::InvalidRequest("`device_code` is missing"))?;
    let device = match app.devices.poll(TokenDigest::of(code), &client.id).await? {
        Poll::Unknown => return Err(TokenError::InvalidGrant),
        Poll::Expired => return Err(TokenError::ExpiredToken),
        Poll::TooSoon => return Err(TokenError::SlowDown),
        Poll::Waiting => return Err(TokenError::AuthorizationPending),
        Poll::Denied => return Err(TokenError::AccessDenied),
        Poll::Allowed(device) => device,
    };
    let account = app.accounts.find_by_id(device.account).await?;
    let account = account.filter(|account| account.accepts_tokens_of(device.token_generation));
    let account = account.ok_or(TokenError::InvalidGrant)?;
    let (scopes, authenticated_at) = (&device.scopes, device.authenticated_at);
    let grant = NewGrant { account: &account, client: &client.id, scopes, authenticated_at, session: None };
    let (grant, refresh_token) = app.grants.start_at_once(&grant).await?;
    log_issue(account.id, client, "device_code");
    Ok(IssuedToken::to_user(app, client, &account, &grant, scopes, Some(refresh_token)))
}

/// The account of a grant. `None` if it is disabled or was deleted, or its password or role was changed since.
pub(crate) async fn valid_account(app: &App, grant: &Grant) -> Result<Option<Account>, TokenError> {
    let account = app.accounts.find_by_id(grant.account).await?;
    Ok(account.filter(|account| account.accepts_tokens_of(grant.token_generation)))
}

fn log_issue(account: Uuid, client: &Client, grant: &'static str) {
    info!(target: "audit", { audit.event = "token_issued", account.id = %account, client.id = client.id, grant = grant }, "issued a token to {account}");
    metrics::token_issued(grant);
}

impl IssuedToken {
    /// The tokens that a person has allowed a client: an access token with `scopes`, and what the grant's scopes add to it.
    fn to_user(
        app: &App,
        client: &Client,
        account: &Account,
        grant: &Grant,
        scopes: &Scopes,
        refresh_token: Option<String>,
    ) -> Self {
        let (sub, roles, generation) =
            (account.id.to_string(), account.role.claims(), account.token_generation);
        let subject = TokenSubject {
            sub,
            client: &client.id,
            scopes,
            roles,
            generation,
            grant: Some(grant.id),
            amr: &["pwd"],
        };
        let mut token = TokenResponse::of(app, subject);
        if scopes.contains(Scope::OpenId) {
            token.id_token = Some(id_token::issue(app, grant, account, &token.access_token));
        }
        let may_refresh =
            grant.scopes.contains(Scope::OfflineAccess) && client.may_use(GrantType::RefreshToken);
        token.refresh_token = refresh_token.filter(|_| may_refresh);
        Self { caller: account.id.to_string(), token }
    }
}

impl TokenResponse {
    fn of(app: &App, subject: TokenSubject<'_>) -> Self {
        Self {
            scope: subject.scopes.to_string(),
            access_token: access_token::issue(app, subject),
            token_type: "Bearer",
            expires_in: app.token_ttl_seconds(),
            refresh_token: None,
            id_token: None,
        }
    }
}
