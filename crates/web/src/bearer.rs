//! Bearer tokens (RFC 6750): the token of the `Authorization` header, and the challenges for requests without a good one.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

/// Why a request bears no token that could be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// There is no `Authorization` header, or it uses another scheme than `Bearer`.
    #[error("no bearer token was sent")]
    Missing,
    /// The header was sent more than once, is no text, or has a scheme and nothing else.
    #[error("the Authorization header is malformed")]
    Malformed,
}

/// What to say in `WWW-Authenticate` to a request that is refused (RFC 6750, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No token was sent: a challenge without an error code (section 3.1). Status 401.
    TokenMissing,
    /// The token is malformed, expired or revoked: `invalid_token`. Status 401.
    TokenInvalid,
    /// The token is valid but lacks this scope: `insufficient_scope`. Status 403.
    InsufficientScope(&'static str),
}

/// The token of the one `Authorization: Bearer` header; the scheme's case does not matter (RFC 9110, section 11.1).
///
/// Written by hand because `headers::Authorization` reads the first of several headers and ignores the others: two parties
/// that read different ones would see two callers in one request.
pub fn token(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::Malformed);
    }
    let text = value.to_str().map_err(|_| BearerError::Malformed)?;
    let (scheme, token) = text.split_once(' ').ok_or(BearerError::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(BearerError::Missing) }
}

impl Challenge {
    /// The value of `WWW-Authenticate`.
    pub fn header(self) -> HeaderValue {
        match self {
            Self::TokenMissing => HeaderValue::from_static("Bearer"),
            Self::TokenInvalid => HeaderValue::from_static(r#"Bearer error="invalid_token""#),
            Self::InsufficientScope(scope) => {
                let value = format!(r#"Bearer error="insufficient_scope", scope="{scope}""#);
                HeaderValue::from_str(&value)
                    .expect("a scope's name is visible ASCII (RFC 6749, section 3.3)")
            }
        }
    }
}

/// The realm of a service's challenges (RFC 9110, section 11.5): the issuer whose tokens it accepts. Services of one realm take the same
/// tokens.
#[derive(Debug, Clone)]
pub struct Realm(Arc<str>);

impl Realm {
    /// The realm `name`, usually a URL.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }
}

/// Middleware that adds the realm to every challenge for a bearer token.
pub async fn add_realm(State(Realm(name)): State<Realm>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if let Some(challenge) = response.headers_mut().get_mut(WWW_AUTHENTICATE)
        && let Some(rest) = challenge.to_str().ok().and_then(|text| text.strip_prefix("Bearer"))
    {
        let separator = if rest.is_empty() { "" } else { "," };
        let with_realm = format!("Bearer realm=\"{name}\"{separator}{rest}");
        // A name with a quotation mark or a control character cannot be sent.
        if !name.contains(['"', '\\'])
            && let Ok(value) = HeaderValue::from_str(&with_realm)
        {
            *challenge = value;
        }
    }
    response
}

impl From<BearerError> for Challenge {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::Missing => Self::TokenMissing,
            BearerError::Malformed => Self::TokenInvalid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static [u8]]) -> HeaderMap {
        values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_bytes(value).unwrap())).collect()
    }

    #[test]
    fn a_token_is_read_whatever_the_case_of_its_scheme() {
        for value in [&b"Bearer abc"[..], b"bearer abc", b"BEARER  abc "] {
            assert_eq!(token(&headers(&[value])), Ok("abc"));
        }
    }

    #[test]
    fn another_scheme_counts_as_no_token_and_a_malformed_or_repeated_header_as_a_bad_one() {
        assert_eq!(token(&headers(&[])), Err(BearerError::Missing));
        assert_eq!(token(&headers(&[b"Basic YTpi"])), Err(BearerError::Missing));
        assert_eq!(token(&headers(&[b"Bearer"])), Err(BearerError::Malformed));
        assert_eq!(token(&headers(&[b"Bearer \xff"])), Err(BearerError::Malformed));
        assert_eq!(token(&headers(&[b"Bearer a", b"Bearer a"])), Err(BearerError::Malformed));
        assert_eq!(token(&headers(&[b"Bearer a", b"Basic YTpi"])), Err(BearerError::Malformed));
    }

    #[test]
    fn challenges_are_those_of_rfc_6750() {
        let header = |challenge: Challenge| challenge.header().to_str().unwrap().to_owned();
        assert_eq!(header(BearerError::Missing.into()), "Bearer");
        assert_eq!(header(BearerError::Malformed.into()), r#"Bearer error="invalid_token""#);
        let scope = header(Challenge::InsufficientScope("openid"));
        assert_eq!(scope, r#"Bearer error="insufficient_scope", scope="openid""#);
    }
}
