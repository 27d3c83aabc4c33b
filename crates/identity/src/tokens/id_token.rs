//! ID tokens (OpenID Connect Core 1.0, section 2): who has signed in, for the client alone.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::grants::grant_store::Grant;
use crate::role::Role;
use crate::scope::Scope;
use crate::time::SECOND;
use crate::tokens::jwt;

/// The `typ` of an ID token.
const TYPE: &str = "JWT";

/// The claims of an ID token. Instants are seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    /// The client.
    pub(crate) aud: String,
    /// The account.
    pub(crate) sub: Uuid,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
    /// The left half of the access token's SHA-256 (section 3.1.3.6).
    at_hash: String,
    /// The grant.
    sid: Uuid,
    amr: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<Role>>,
}

/// The ID token of a grant, beside this access token.
pub(crate) fn issue(app: &App, grant: &Grant, account: &Account, access_token: &str) -> String {
    let iat = app.clock.now() / SECOND;
    let has_profile = grant.scopes.contains(Scope::Profile);
    let name = has_profile.then(|| account.name.clone());
    let hash = digest(&SHA256, access_token.as_bytes());
    let claims = Claims {
        iss: app.settings.issuer.clone(),
        aud: grant.client.clone(),
        sub: account.id,
        exp: iat + app.token_ttl_seconds(),
        iat,
        auth_time: grant.authenticated_at / SECOND,
        nonce: grant.nonce.clone(),
        at_hash: URL_SAFE_NO_PAD.encode(&hash.as_ref()[..16]),
        sid: grant.id,
        amr: vec!["pwd".to_owned()],
        preferred_username: name.clone(),
        name,
        roles: has_profile.then(|| account.role.claims()),
    };
    jwt::sign(&app.keys, TYPE, &claims)
}

/// The claims of an ID token of this Identity, also of one that has expired: it only says which sign-in is meant.
pub(crate) fn read_hint(app: &App, token: &str) -> Option<Claims> {
    jwt::verify(&app.keys, TYPE, &app.settings.issuer, None, token)
}
