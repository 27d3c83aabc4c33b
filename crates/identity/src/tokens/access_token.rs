//! Access tokens (RFC 9068): made, and read again when they come back to us.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::App;
use crate::keys::key_ring::KeyRing;
use crate::oauth::Scopes;
use crate::role::Role;
use crate::time::SECOND;

/// The API that tokens are for.
pub(crate) const AUDIENCE: &str = "TaskerWebAPI";

const TYPE: &str = "at+jwt";

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: String,
    pub(crate) sub: String,
    pub(crate) client_id: String,
    pub(crate) iat: i64,
    pub(crate) exp: i64,
    pub(crate) jti: Uuid,
    pub(crate) scope: String,
    pub(crate) roles: Vec<Role>,
    /// Where the original's clients look for the roles.
    #[serde(rename = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")]
    pub(crate) role: Vec<Role>,
    /// How the person was recognised (RFC 8176); nothing for a program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) amr: Vec<String>,
}

/// For whom a token is, and for what.
pub(crate) struct TokenSubject<'a> {
    pub(crate) sub: String,
    pub(crate) client: &'a str,
    pub(crate) scopes: &'a Scopes,
    pub(crate) roles: Vec<Role>,
    pub(crate) amr: &'a [&'a str],
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// A signed access token. Without the API's scope its audience is ourselves: the API does not take it.
pub(crate) fn access_token(app: &App, grantee: TokenSubject<'_>) -> String {
    let iat = app.clock.now() / SECOND;
    let issuer = &app.settings.issuer;
    sign(
        &app.keys,
        &Claims {
            iss: issuer.clone(),
            aud: if grantee.scopes.contains(AUDIENCE) { AUDIENCE.to_owned() } else { issuer.clone() },
            sub: grantee.sub,
            client_id: grantee.client.to_owned(),
            iat,
            exp: iat + app.token_seconds(),
            jti: Uuid::new_v4(),
            scope: grantee.scopes.to_string(),
            role: grantee.roles.clone(),
            roles: grantee.roles,
            amr: grantee.amr.iter().map(|&method| method.to_owned()).collect(),
        },
    )
}

fn sign(keys: &KeyRing, claims: &Claims) -> String {
    let key = keys.current();
    let header = Header { alg: "RS256", typ: TYPE, kid: &key.kid };
    let message = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn encode(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("plain data is JSON"))
}

/// What a token of ours says, if it is one and is alive. Signature and form are the library's to check, the time is
/// our clock's.
pub(crate) fn read(app: &App, token: &str) -> Option<Claims> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    if header.typ.as_deref() != Some(TYPE) {
        return None;
    }
    let key = DecodingKey::from_jwk(&app.keys.find(header.kid.as_deref()?)?).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[&app.settings.issuer]);
    validation.set_audience(&[AUDIENCE, &app.settings.issuer]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation).ok()?.claims;
    (app.clock.now() / SECOND < claims.exp).then_some(claims)
}
