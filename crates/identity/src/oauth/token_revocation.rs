//! `POST /connect/revocation`: a client ends a token of its own (RFC 7009), and with it everything of the same grant.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use tracing::info;
use uuid::Uuid;
use web::client_address::ClientAddress;

use crate::app::App;
use crate::clients::client::Client;
use crate::form_body::{Form, InvalidForm};
use crate::grants::refresh_token::RefreshToken;
use crate::oauth::client_authentication::SentCredentials;
use crate::oauth::error::{OAuthError, TokenError};
use crate::oauth::introspection::TokenToInspect;
use crate::oauth::token::authenticate_client;
use crate::tokens::access_token;

/// Revoke a token
///
/// Ends the grant of an access token or a refresh token: both end (RFC 7009). Tokens that are not known, or belong to another client, change
/// nothing. An access token for a password or a secret belongs to no grant and ends at its own time.
#[utoipa::path(post, path = "/connect/revocation", operation_id = "revokeToken", tag = "Tokens", security((), ("client" = [])),
    request_body(content = TokenToInspect, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "The token is not valid, now or before"),
        (status = 400, body = OAuthError, description = "The request is invalid"),
        (status = 401, body = OAuthError, description = "The client is unknown, or its secret is wrong"),
        (status = 403, body = OAuthError, description = "A browser sent the request from a page of another site"),
        (status = 413, body = OAuthError, description = "The form is too large"),
        (status = 415, body = OAuthError, description = "The body is not a form, or its `Content-Encoding` is neither gzip nor identity"),
        (status = 429, body = OAuthError, description = "Too many attempts came from this address"),
        (status = 503, body = OAuthError, description = "The database is unavailable"),
        (status = "default", body = OAuthError, description = "Any other error")))]
pub(crate) async fn revoke(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    headers: HeaderMap,
    form: Result<Form, InvalidForm>,
) -> Result<(), TokenError> {
    let form = form?;
    let client = authenticate_client(&app, client_address, &headers, &SentCredentials::of(&form)).await?;
    let token = form.value("token").ok_or(TokenError::InvalidRequest("`token` is missing"))?;
    if let Some(grant) = find_grant(&app, client, token).await? {
        app.grants.end(grant).await?;
        info!(target: "audit", { audit.event = "token_revoked", client.id = client.id }, "{} revoked a token", client.id);
    }
    Ok(())
}

/// The grant of a token of this client.
async fn find_grant(app: &App, client: &Client, token: &str) -> Result<Option<Uuid>, TokenError> {
    let Some(refresh) = RefreshToken::parse(token) else {
        let bearer = access_token::authenticate(app, token).await?;
        let claims = bearer.map(|bearer| bearer.claims).filter(|claims| claims.client_id == client.id);
        return Ok(claims.and_then(|claims| claims.sid));
    };
    let grant = app.grants.find_current(&refresh).await?.filter(|grant| grant.client == client.id);
    Ok(grant.map(|grant| grant.id))
}
