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
use crate::tokens::scope::{AUDIENCE, PROFILE};

/// Caches may keep the documents for five minutes, far less than the day for which a key is announced before it signs.
const CACHED: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "public, max-age=300")];

/// The metadata of RFC 8414, and the address of userinfo. There is no authorization endpoint, so there are no response types, and a
/// member without elements is left out (section 3.2). There are no ID tokens, so the scope `openid` is not listed: clients of the
/// original request it, and for them it opens userinfo.
#[derive(Serialize)]
pub(crate) struct Metadata {
    issuer: String,
    token_endpoint: String,
    userinfo_endpoint: String,
    jwks_uri: String,
    /// Where Backends read which tokens are revoked; a member of our own.
    tasker_revocations_uri: String,
    scopes_supported: [&'static str; 2],
    grant_types_supported: [&'static str; 2],
    token_endpoint_auth_methods_supported: [&'static str; 3],
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
        scopes_supported: [PROFILE, AUDIENCE],
        grant_types_supported: ["client_credentials", "password"],
        token_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post", "none"],
    };
    (CACHED, Json(metadata))
}

/// `GET /.well-known/openid-configuration/jwks`
pub(crate) async fn jwks(State(app): State<Arc<App>>) -> ([(HeaderName, &'static str); 1], Json<JwkSet>) {
    (CACHED, Json(app.keys.public()))
}
