//! `POST /connect/introspect`: what a token is good for (RFC 7662). A client learns it of its own tokens only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;
use web::client_address::ClientAddress;

use crate::app::App;
use crate::clients::client::Client;
use crate::form_body::{Form, InvalidForm};
use crate::grants::refresh_token::RefreshToken;
use crate::oauth::client_authentication::SentCredentials;
use crate::oauth::error::{OAuthError, TokenError};
use crate::oauth::token::{authenticate_client, valid_account};
use crate::tokens::access_token;

/// The token of a request.
#[derive(ToSchema)]
#[schema(examples(json!({"token": "01f0…", "client_id": "robot", "client_secret": "robots have secrets too"})))]
#[expect(dead_code, reason = "the handler reads the form itself")]
pub(crate) struct TokenToInspect {
    /// An access token or a refresh token.
    token: String,
    /// Which of them it is; both are tried anyway.
    #[schema(required = false)]
    token_type_hint: Option<String>,
    /// The id of the client, unless it is in the header `Authorization`.
    #[schema(required = false)]
    client_id: Option<String>,
    /// The secret of the client, unless it is in the header `Authorization`.
    #[schema(required = false)]
    client_secret: Option<String>,
}

/// What is known of a token. Of one that is not valid, or belongs to another client, only that it is not active.
#[derive(Default, Serialize, ToSchema)]
pub(crate) struct Introspection {
    /// Whether it is valid.
    active: bool,
    /// Its scopes, separated by blanks.
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    /// Its client.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    /// The account, or the client itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    /// When it expires, in seconds since 1970; an access token only.
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    /// When it was issued, in seconds since 1970; an access token only.
    #[serde(skip_serializing_if = "Option::is_none")]
    iat: Option<i64>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<String>,
    /// Whom it is for; an access token only.
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<String>,
    /// `Bearer`, of an access token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_type: Option<&'static str>,
}

/// Inspect a token
///
/// What an access token or a refresh token of the client is good for (RFC 7662). The client needs a secret.
#[utoipa::path(post, path = "/connect/introspect", operation_id = "inspectToken", tag = "Tokens", security(("client" = [])),
    request_body(content = TokenToInspect, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Introspection, description = "What is known of the token"),
        (status = 400, body = OAuthError, description = "The request is invalid"),
        (status = 401, body = OAuthError, description = "The client is unknown, has no secret, or its secret is wrong"),
        (status = 403, body = OAuthError, description = "A browser sent the request from a page of another site"),
        (status = 413, body = OAuthError, description = "The form is too large"),
        (status = 415, body = OAuthError, description = "The body is not a form, or its `Content-Encoding` is neither gzip nor identity"),
        (status = 429, body = OAuthError, description = "Too many attempts came from this address"),
        (status = 503, body = OAuthError, description = "The database is unavailable"),
        (status = "default", body = OAuthError, description = "Any other error")))]
pub(crate) async fn inspect(
    State(app): State<Arc<App>>,
    ClientAddress(client_address): ClientAddress,
    headers: HeaderMap,
    form: Result<Form, InvalidForm>,
) -> Result<Json<Introspection>, TokenError> {
    let form = form?;
    let client = authenticate_client(&app, client_address, &headers, &SentCredentials::of(&form)).await?;
    if !client.is_confidential() {
        return Err(TokenError::InvalidClient);
    }
    let token = form.value("token").ok_or(TokenError::InvalidRequest("`token` is missing"))?;
    let known = match RefreshToken::parse(token) {
        // An access token has two dots, and its first part is no id.
        Some(refresh) => of_refresh_token(&app, client, &refresh).await?,
        None => of_access_token(&app, client, token).await?,
    };
    Ok(Json(known.unwrap_or_default()))
}

async fn of_access_token(
    app: &App,
    client: &Client,
    token: &str,
) -> Result<Option<Introspection>, TokenError> {
    let bearer = access_token::authenticate(app, token).await?;
    let claims = bearer.map(|bearer| bearer.claims).filter(|claims| claims.client_id == client.id);
    Ok(claims.map(|claims| Introspection {
        active: true,
        scope: Some(claims.scope),
        client_id: Some(claims.client_id),
        sub: Some(claims.sub),
        exp: Some(claims.exp),
        iat: Some(claims.iat),
        iss: Some(claims.iss),
        aud: Some(claims.aud),
        token_type: Some("Bearer"),
    }))
}

async fn of_refresh_token(
    app: &App,
    client: &Client,
    token: &RefreshToken,
) -> Result<Option<Introspection>, TokenError> {
    let grant = app.grants.find_current(token).await?.filter(|grant| grant.client == client.id);
    let Some(grant) = grant else { return Ok(None) };
    Ok(valid_account(app, &grant).await?.map(|account| Introspection {
        active: true,
        scope: Some(grant.scopes.to_string()),
        client_id: Some(grant.client),
        sub: Some(account.id.to_string()),
        iss: Some(app.settings.issuer.clone()),
        ..Introspection::default()
    }))
}
