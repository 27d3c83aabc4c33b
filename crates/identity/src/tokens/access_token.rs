//! Access tokens (RFC 9068): issued as signed JWTs, and verified when they are sent to Identity.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use database::DatabaseError;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::keys::key_ring::KeyRing;
use crate::legacy_clients::LegacyClaims;
use crate::role::Role;
use crate::time::SECOND;
use crate::tokens::scope::{AUDIENCE, Scopes};

/// The `typ` of an access token (RFC 9068, section 2.1).
const TYPE: &str = "at+jwt";

/// The claims of an access token. `iat` and `exp` are seconds since 1970.
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
    /// The generation of the account's or client's tokens when this one was issued: a later one revokes it.
    pub(crate) generation: i64,
    #[serde(flatten)]
    pub(crate) legacy: LegacyClaims,
    /// How the user was authenticated (RFC 8176); empty for a client's own token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) amr: Vec<String>,
}

/// For whom a token is issued, and with which rights.
pub(crate) struct TokenSubject<'a> {
    /// The id of the account or of the client.
    pub(crate) sub: String,
    pub(crate) client: &'a str,
    pub(crate) scopes: &'a Scopes,
    pub(crate) roles: Vec<Role>,
    pub(crate) generation: i64,
    pub(crate) amr: &'a [&'a str],
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// A signed access token. Without the scope [`AUDIENCE`] the token is addressed to Identity itself, so the API refuses it.
pub(crate) fn issue(app: &App, subject: TokenSubject<'_>) -> String {
    let iat = app.clock.now() / SECOND;
    let issuer = &app.settings.issuer;
    sign(
        &app.keys,
        &Claims {
            iss: issuer.clone(),
            aud: if subject.scopes.contains(AUDIENCE) { AUDIENCE.to_owned() } else { issuer.clone() },
            sub: subject.sub,
            client_id: subject.client.to_owned(),
            iat,
            exp: iat + app.token_ttl_seconds(),
            jti: Uuid::new_v4(),
            scope: subject.scopes.to_string(),
            legacy: LegacyClaims { role: subject.roles.clone() },
            roles: subject.roles,
            generation: subject.generation,
            amr: subject.amr.iter().map(|&method| method.to_owned()).collect(),
        },
    )
}

/// The claims as a JWS in compact form (RFC 7515, section 7.1), signed by the current key.
///
/// `jsonwebtoken::encode` is not used because it parses the private key for every token; the key ring keeps it parsed.
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

/// The bearer of a token that is valid now.
pub(crate) struct Bearer {
    pub(crate) claims: Claims,
    /// The account, as it is now; `None` for a client's own token.
    pub(crate) account: Option<Account>,
}

/// The bearer of a token that this Identity has issued, that has not expired, and that was not revoked by a change of password or
/// role, by disabling or by removal; else `None`. Every endpoint that takes a token calls this.
pub(crate) async fn authenticate(app: &App, token: &str) -> Result<Option<Bearer>, DatabaseError> {
    let Some(claims) = verify(app, token) else { return Ok(None) };
    // The `sub` of a client's own token is no account id.
    let Ok(id) = Uuid::try_parse(&claims.sub) else {
        let generation = app.revocations.client_generation(&claims.sub).await?;
        return Ok((generation == Some(claims.generation)).then_some(Bearer { claims, account: None }));
    };
    let account = app.accounts.find_by_id(id).await?;
    let account =
        account.filter(|account| !account.is_disabled && account.token_generation == claims.generation);
    Ok(account.map(|account| Bearer { claims, account: Some(account) }))
}

/// The claims of a token that this Identity has issued and that has not expired, else `None`. The library checks signature
/// and form; the expiry is checked here, against the clock of the service, which tests can set.
fn verify(app: &App, token: &str) -> Option<Claims> {
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
