//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a submission that may be sent again.

use aws_lc_rs::digest::{Context, SHA256};
use axum::extract::FromRequestParts;
use axum::http::header::HeaderName;
use axum::http::request::Parts;
use domain::{IdempotencyKey, OwnerId, RequestKey};
use uuid::Uuid;

use crate::error::ApiError;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The key of a request, if it has one.
#[derive(Debug, Clone)]
pub(crate) struct OptionalIdempotencyKey(Option<IdempotencyKey>);

impl OptionalIdempotencyKey {
    /// The hashes of a request of `owner` for `endpoint`: of what a repetition has in common with it, which its headers are not part of.
    pub(crate) fn of_request(&self, owner: OwnerId, endpoint: &str, body: &[u8]) -> Option<RequestKey> {
        let key = self.0.as_ref()?;
        Some(RequestKey {
            owner,
            key_hash: hash(&[owner.0.as_bytes(), key.as_str().as_bytes()]),
            content_hash: hash(&[endpoint.as_bytes(), b"\0", body]),
        })
    }
}

/// The first half of SHA-256: whoever finds two texts with the same hash finds them for the own keys only.
fn hash(parts: &[&[u8]]) -> Uuid {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let digest = context.finish();
    let half = digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
    Uuid::from_bytes(*half)
}

impl<S: Sync> FromRequestParts<S> for OptionalIdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all(HEADER).iter();
        let key = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(value), None) => {
                let key = IdempotencyKey::from_header(value.to_str().unwrap_or_default());
                Some(key.map_err(|error| ApiError::Malformed(format!("Idempotency-Key: {error}")))?)
            }
            (Some(_), Some(_)) => {
                return Err(ApiError::Malformed("Idempotency-Key: a request has one key".to_owned()));
            }
        };
        Ok(Self(key))
    }
}
