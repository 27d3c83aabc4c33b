//! Signed tokens (RFC 7519): how they are written, and how those of this Identity are read.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::keys::key_ring::KeyRing;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// Signs with the current key. The library would parse the private key for every token; the key ring keeps it parsed.
pub(crate) fn sign(keys: &KeyRing, typ: &str, claims: &impl Serialize) -> String {
    let key = keys.current();
    let header = Header { alg: "RS256", typ, kid: &key.kid };
    let message = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.sign(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn encode(part: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).expect("plain data is JSON"))
}

/// The claims of a token of this type that `issuer` has issued for one of these audiences, else `None`. The library checks signature and
/// form; the expiry is for the caller to check, against the clock of the service, which tests can set.
pub(crate) fn verify<C: DeserializeOwned>(
    keys: &KeyRing,
    typ: &str,
    issuer: &str,
    audiences: Option<&[&str]>,
    token: &str,
) -> Option<C> {
    let header = jsonwebtoken::decode_header(token).ok()?;
    if header.typ.as_deref() != Some(typ) {
        return None;
    }
    let key = DecodingKey::from_jwk(&keys.find(header.kid.as_deref()?)?).ok()?;
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_issuer(&[issuer]);
    match audiences {
        Some(audiences) => validation.set_audience(audiences),
        None => validation.validate_aud = false,
    }
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_exp = false;
    Some(jsonwebtoken::decode::<C>(token, &key, &validation).ok()?.claims)
}
