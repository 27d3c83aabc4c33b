//! Client authentication at the token endpoint (RFC 6749, section 2.3): public clients by their id, confidential clients
//! by their secret.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use crate::legacy_clients;
use crate::oauth::error::TokenError;
use crate::oauth::token_request::TokenRequest;
use crate::secret_token::TokenDigest;
use crate::settings::Client;

/// The client that requests a token.
#[derive(Debug)]
pub(crate) enum OAuthClient<'a> {
    /// A public client of the original, by the spelling of its id that tokens carry. It has no secret and may use the password
    /// grant only.
    Legacy(&'static str),
    /// A client of the settings that has sent its secret. It may use `client_credentials` only.
    Confidential(&'a Client),
}

/// The id and secret that a request carries.
struct ClientCredentials {
    id: String,
    secret: Option<String>,
}

impl<'a> OAuthClient<'a> {
    /// Authenticates the client. A request may carry a secret in one way only: header or body.
    pub(crate) fn authenticate(
        headers: &HeaderMap,
        request: &TokenRequest<'_>,
        clients: &'a [Client],
    ) -> Result<Self, TokenError> {
        let credentials = read_credentials(headers, request)?;
        match (legacy_clients::canonical_id(&credentials.id), credentials.secret) {
            (Some(canonical_id), None) => Ok(Self::Legacy(canonical_id)),
            (None, Some(secret)) => find_client(clients, &credentials.id, &secret)
                .map(Self::Confidential)
                .ok_or(TokenError::InvalidClient),
            _ => Err(TokenError::InvalidClient),
        }
    }
}

/// The client with this id and secret. An unknown id takes the same steps as a wrong secret, so that it takes as long.
fn find_client<'a>(clients: &'a [Client], id: &str, secret: &str) -> Option<&'a Client> {
    let found = clients.iter().find(|client| client.id == id);
    let expected = TokenDigest::of(found.map_or("", |client| client.secret.expose_secret()));
    let is_equal = verify_slices_are_equal(expected.as_bytes(), TokenDigest::of(secret).as_bytes()).is_ok();
    found.filter(|_| is_equal)
}

fn read_credentials(
    headers: &HeaderMap,
    request: &TokenRequest<'_>,
) -> Result<ClientCredentials, TokenError> {
    let id_in_body = request.client_id;
    let secret_in_body = request.client_secret;
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
