//! Client authentication (RFC 6749, section 2.3): public clients by their id, confidential clients
//! by their secret.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use crate::clients::client::Client;
use crate::clients::registry::ClientRegistry;
use crate::form_body::Form;
use crate::oauth::error::TokenError;
use crate::secret_token::TokenDigest;

/// What the form of a request says of its client.
#[derive(Clone, Copy)]
pub(crate) struct SentCredentials<'a> {
    pub(crate) client_id: Option<&'a str>,
    pub(crate) client_secret: Option<&'a str>,
}

impl<'a> SentCredentials<'a> {
    /// The credentials in a form.
    pub(crate) fn of(form: &'a Form) -> Self {
        Self { client_id: form.value("client_id"), client_secret: form.value("client_secret") }
    }
}

/// The id and secret that a request carries.
struct ClientCredentials {
    id: String,
    secret: Option<String>,
}

/// The client of a request. A request may carry a secret in one way only: header or body. A public client says its id and no secret.
pub(crate) fn authenticate<'a>(
    headers: &HeaderMap,
    sent: &SentCredentials<'_>,
    clients: &'a ClientRegistry,
) -> Result<&'a Client, TokenError> {
    let ClientCredentials { id, secret } = read_credentials(headers, sent)?;
    let found = clients.find(&id);
    let is_right = match secret {
        None => found.is_some_and(|client| !client.is_confidential()),
        Some(secret) => has_secret(found, &secret),
    };
    found.filter(|_| is_right).ok_or(TokenError::InvalidClient)
}

/// Whether this is the client's secret. For an unknown client the same steps are taken, so that it takes as long.
fn has_secret(client: Option<&Client>, secret: &str) -> bool {
    let expected = client.and_then(|client| client.secret.as_ref());
    let digest = TokenDigest::of(expected.map_or("", ExposeSecret::expose_secret));
    let is_equal = verify_slices_are_equal(digest.as_bytes(), TokenDigest::of(secret).as_bytes()).is_ok();
    is_equal && expected.is_some()
}

fn read_credentials(
    headers: &HeaderMap,
    sent: &SentCredentials<'_>,
) -> Result<ClientCredentials, TokenError> {
    let id_in_body = sent.client_id;
    let secret_in_body = sent.client_secret;
    if let Some(authorization) = headers.get(AUTHORIZATION) {
        let basic = authorization.to_str().ok().and_then(read_basic).ok_or(TokenError::InvalidClient)?;
        if secret_in_body.is_some() {
            return Err(TokenError::InvalidRequest("send the client's secret in one way only"));
        }
        if id_in_body.is_some_and(|id| id != basic.id) {
            return Err(TokenError::InvalidRequest("`client_id` names another client than the header"));
        }
        return Ok(basic);
    }
    let id = id_in_body.ok_or(TokenError::InvalidRequest("`client_id` is missing"))?;
    Ok(ClientCredentials { id: id.to_owned(), secret: secret_in_body.map(str::to_owned) })
}

/// `Basic` and the base64 of id and secret, each form-encoded (RFC 6749, section 2.3.1).
fn read_basic(authorization: &str) -> Option<ClientCredentials> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    let secret = form_decode(secret);
    Some(ClientCredentials { id: form_decode(id), secret: (!secret.is_empty()).then_some(secret) })
}

fn form_decode(encoded: &str) -> String {
    // The parser reads `name=value&...`. With both separators escaped, the whole text is one name.
    let escaped = encoded.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(escaped.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(id: &str, secret: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    #[test]
    fn basic_credentials_are_form_encoded() {
        for (sent, expected) in
            [("p%40ss+w%26rd", "p@ss w&rd"), ("a=b&c", "a=b&c"), ("x:y", "x:y"), ("%", "%")]
        {
            let read = read_basic(&basic("robot%2B1", sent)).unwrap();
            assert_eq!((read.id.as_str(), read.secret.as_deref()), ("robot+1", Some(expected)));
        }
        assert!(read_basic("Bearer abc").is_none() && read_basic("Basic").is_none());
        assert!(read_basic("basic Og==").is_some_and(|read| read.id.is_empty() && read.secret.is_none()));
    }
}
