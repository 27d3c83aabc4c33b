//! Access tokens (RFC 9068): issued as signed JWTs, and verified when they are sent to Identity.

use database::DatabaseError;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::legacy_clients::LegacyClaims;
use crate::role::Role;
use crate::scope::{AUDIENCE, Scope, Scopes};
use crate::time::SECOND;
use crate::tokens::jwt;

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
    /// The grant of a client by which the token was issued; without it the token came for a password or a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<Uuid>,
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
    pub(crate) grant: Option<Uuid>,
    pub(crate) amr: &'a [&'a str],
}

/// A signed access token. Without the scope [`AUDIENCE`] the token is addressed to Identity itself, so the API refuses it.
pub(crate) fn issue(app: &App, subject: TokenSubject<'_>) -> String {
    let iat = app.clock.now() / SECOND;
    let issuer = &app.settings.issuer;
    jwt::sign(
        &app.keys,
        TYPE,
        &Claims {
            iss: issuer.clone(),
            aud: if subject.scopes.contains(Scope::TaskerWebApi) {
                AUDIENCE.to_owned()
            } else {
                issuer.clone()
            },
            sub: subject.sub,
            client_id: subject.client.to_owned(),
            iat,
            exp: iat + app.token_ttl_seconds(),
            jti: Uuid::new_v4(),
            scope: subject.scopes.to_string(),
            legacy: LegacyClaims { role: subject.roles.clone() },
            roles: subject.roles,
            generation: subject.generation,
            sid: subject.grant,
            amr: subject.amr.iter().map(|&method| method.to_owned()).collect(),
        },
    )
}

/// The bearer of a token that is valid now.
pub(crate) struct Bearer {
    pub(crate) claims: Claims,
    /// The account, as it is now; `None` for a client's own token.
    pub(crate) account: Option<Account>,
}

/// The bearer of a token that this Identity has issued, that has not expired, and that was not revoked by a change of password or
/// role, by disabling, by removal or by the end of its grant; else `None`. Every endpoint that takes a token calls this.
pub(crate) async fn authenticate(app: &App, token: &str) -> Result<Option<Bearer>, DatabaseError> {
    let Some(claims) = verify(app, token) else { return Ok(None) };
    // The `sub` of a client's own token is no account id.
    let Ok(id) = Uuid::try_parse(&claims.sub) else {
        let generation = app.revocations.client_generation(&claims.sub).await?;
        return Ok((generation == Some(claims.generation)).then_some(Bearer { claims, account: None }));
    };
    if let Some(grant) = claims.sid
        && !app.grants.is_alive(grant).await?
    {
        return Ok(None);
    }
    let account = app.accounts.find_by_id(id).await?;
    let account = account.filter(|account| account.accepts_tokens_of(claims.generation));
    Ok(account.map(|account| Bearer { claims, account: Some(account) }))
}

/// The claims of a token that this Identity has issued and that has not expired, else `None`.
fn verify(app: &App, token: &str) -> Option<Claims> {
    let issuer = app.settings.issuer.as_str();
    let claims: Claims = jwt::verify(&app.keys, TYPE, issuer, Some(&[AUDIENCE, issuer]), token)?;
    (app.clock.now() / SECOND < claims.exp).then_some(claims)
}
