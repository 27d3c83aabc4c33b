//! Discovery: the metadata document (RFC 8414) with endpoints and what they accept, and the public keys. Only what is
//! implemented is listed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderName;
use axum::http::header::CACHE_CONTROL;
use jsonwebtoken::jwk::JwkSet;
use serde::Serialize;

use crate::app::App;
use crate::tokens::scope::USER_SCOPES;

/// Caches may keep the documents for five minutes, far less than the day for which a key is announced before it signs.
const CACHED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];

/// The metadata of RFC 8414, and those of OpenID Connect Discovery that apply: there is no authorization endpoint, and there
/// are no ID tokens.
#[derive(Serialize)]
pub(crate) struct Metadata {
    issuer: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    /// Where Backends read which tokens are revoked; a member of our own.
    tasker_revocations_uri: String,
    scopes_supported: &'static [&'static str],
    response_types_supported: [&'static str; 0],
    grant_types_supported: [&'static str; 2],
    token_endpoint_auth_methods_supported: [&'static str; 3],
    subject_types_supported: [&'static str; 1],
    claims_supported: [&'static str; 4],
}

/// `GET /.well-known/openid-configuration`, and the same as `/.well-known/oauth-authorization-server`
pub(crate) async fn metadata(
    State(app): State<Arc<App>>,
) -> ([(HeaderName, &'static str); 1], Json<Metadata>) {
    let issuer = &app.settings.issuer;
    let metadata = Metadata {
        issuer: issuer.clone(),
        token_endpoint: format!("{issuer}/connect/token"),
        userinfo_endpoint: format!("{issuer}/connect/userinfo"),
        jwks_uri: format!("{issuer}/.well-known/openid-configuration/jwks"),
        tasker_revocations_uri: format!("{issuer}/connect/revocations"),
        scopes_supported: USER_SCOPES,
        response_types_supported: [],
        grant_types_supported: ["client_credentials", "password"],
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
        subject_types_supported: ["public"],
        claims_supported: ["sub", "name", "preferred_username", "roles"],
    };
    (CACHED, Json(metadata))
}

/// `GET /.well-known/openid-configuration/jwks`
pub(crate) async fn jwks(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], Json<JwkSet>) {
    (CACHED, Json(app.keys.public()))
}
