//! Which program is asking: the original's public clients by name, the others by their secret.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;

use crate::http::form::Form;
use crate::oauth::error::TokenError;
use crate::secret_token::TokenDigest;
use crate::settings::Client;

/// The original's clients: each spelling that its documents and its code use, and the one that tokens carry.
const LEGACY: [(&str, &str); 4] = [
    ("tasker_backend", "tasker_backend"),
    ("tasker-backend", "tasker_backend"),
    ("tasker_worker", "tasker_worker"),
    ("tasker-worker", "tasker_worker"),
];

/// Whether `id` belongs to one of the original's clients.
pub(crate) fn is_legacy(id: &str) -> bool {
    canonical(id).is_some()
}

fn canonical(id: &str) -> Option<&'static str> {
    LEGACY.into_iter().find_map(|(spelling, canonical)| (spelling == id).then_some(canonical))
}

/// Who asks for a token.
#[derive(Debug)]
pub(crate) enum OAuthClient<'a> {
    /// One of the original's clients: it has no secret, and only the password grant.
    Legacy(&'static str),
    /// A program that has shown its secret: it has only `client_credentials`.
    Program(&'a Client),
}

/// What a request presents.
struct ClientCredentials {
    id: String,
    secret: Option<String>,
}

impl<'a> OAuthClient<'a> {
    /// Recognises the client. One way of showing a secret at a time (RFC 6749 §2.3).
    pub(crate) fn authenticate_client(
        headers: &HeaderMap,
        form: &Form,
        clients: &'a [Client],
    ) -> Result<Self, TokenError> {
        let presented = present(headers, form)?;
        match (canonical(&presented.id), presented.secret) {
            (Some(canonical), None) => Ok(Self::Legacy(canonical)),
            (None, Some(secret)) => {
                program(clients, &presented.id, &secret).map(Self::Program).ok_or(TokenError::InvalidClient)
            }
            _ => Err(TokenError::InvalidClient),
        }
    }
}

/// The program of that id and secret. An unknown id takes the same steps as a wrong secret.
fn program<'a>(clients: &'a [Client], id: &str, secret: &str) -> Option<&'a Client> {
    let found = clients.iter().find(|client| client.id == id);
    let expected = TokenDigest::of(found.map_or("", |client| client.secret.expose_secret()));
    let is_equal = verify_slices_are_equal(expected.as_bytes(), TokenDigest::of(secret).as_bytes()).is_ok();
    found.filter(|_| is_equal)
}

fn present(headers: &HeaderMap, form: &Form) -> Result<ClientCredentials, TokenError> {
    let in_body = form.field("client_id");
    let secret_in_body = form.field("client_secret");
    if let Some(authorization) = headers.get(AUTHORIZATION) {
        let basic = authorization.to_str().ok().and_then(read_basic).ok_or(TokenError::InvalidClient)?;
        if secret_in_body.is_some() {
            return Err(TokenError::InvalidRequest("show the client's secret in one way only"));
        }
        if in_body.is_some_and(|id| id != basic.id) {
            return Err(TokenError::InvalidRequest("`client_id` names another client than the header"));
        }
        return Ok(basic);
    }
    let id = in_body.ok_or(TokenError::InvalidRequest("`client_id` is missing"))?;
    Ok(ClientCredentials { id: id.to_owned(), secret: secret_in_body.map(str::to_owned) })
}

/// `Basic` and the base64 of id and secret, each form-encoded (RFC 6749 §2.3.1).
fn read_basic(authorization: &str) -> Option<ClientCredentials> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let credentials = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
    let (id, secret) = credentials.split_once(':')?;
    let secret = decode(secret);
    Some(ClientCredentials { id: decode(id), secret: (!secret.is_empty()).then_some(secret) })
}

fn decode(encoded: &str) -> String {
    // The parser of forms reads `name=text`: the whole is one name, if what would end it is hidden first.
    let hidden = encoded.replace('&', "%26").replace('=', "%3D");
    form_urlencoded::parse(hidden.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(id: &str, secret: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    #[test]
    fn basic_credentials_are_form_encoded() {
        for (sent, meant) in [("p%40ss+w%26rd", "p@ss w&rd"), ("a=b&c", "a=b&c"), ("x:y", "x:y"), ("%", "%")]
        {
            let read = read_basic(&basic("robot%2B1", sent)).unwrap();
            assert_eq!((read.id.as_str(), read.secret.as_deref()), ("robot+1", Some(meant)));
        }
        assert!(read_basic("Bearer abc").is_none() && read_basic("Basic").is_none());
        assert!(read_basic("basic Og==").is_some_and(|read| read.id.is_empty() && read.secret.is_none()));
    }

    #[test]
    fn every_spelling_of_the_originals_clients_is_known_and_no_other() {
        for spelling in ["tasker_backend", "tasker-backend", "tasker_worker", "tasker-worker"] {
            assert!(is_legacy(spelling));
        }
        assert!(!is_legacy("Tasker_Backend") && !is_legacy("tasker") && !is_legacy(""));
    }
}
