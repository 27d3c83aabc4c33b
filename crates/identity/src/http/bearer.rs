//! Bearer tokens (RFC 6750): the token of the `Authorization` header.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// Why a request has no usable bearer token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BearerError {
    /// There is no `Authorization` header, or it has another scheme.
    Missing,
    /// The header is malformed or was sent twice.
    Malformed,
}

/// The token of the one `Authorization` header.
pub(crate) fn token(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let first = sent.next().ok_or(BearerError::Missing)?;
    if sent.next().is_some() {
        return Err(BearerError::Malformed);
    }
    let (scheme, token) =
        first.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(BearerError::Malformed)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(BearerError::Missing) }
}
