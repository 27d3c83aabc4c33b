//! Verifies access tokens (RFC 9068), and caches the callers of verified ones by the tokens' hashes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use quick_cache::sync::Cache;

use crate::auth::caller::{AUDIENCE, Caller, Claims};
use crate::auth::issuer::Issuer;
use crate::auth::jwks::Jwks;
use crate::auth::revocations::Revocations;
use crate::error::ApiError;

/// A verified token is cached no longer than this, so that a withdrawn key is no longer accepted.
const MAX_CACHE_TIME: Duration = Duration::from_mins(5);

/// A token that is valid for longer counts as valid for so long: the end is used for requests that wait.
const MAX_VALIDITY: Duration = Duration::from_hours(24);

/// How many verified tokens are cached; beyond it those that are not used give way.
const CACHE_CAPACITY: usize = 20_000;

/// By how many seconds the clocks of two machines may differ.
const CLOCK_LEEWAY_S: u64 = 10;

/// A token's SHA-256: the cache holds no tokens.
type TokenHash = [u8; 32];

/// Verifies access tokens.
#[derive(Debug)]
pub(crate) struct TokenVerifier {
    issuer: Arc<Issuer>,
    jwks: Arc<Jwks>,
    revocations: Arc<Revocations>,
    rules: Validation,
    /// The callers of verified tokens, and the instant at which each entry expires.
    verified: Cache<TokenHash, (Instant, Caller)>,
}

impl TokenVerifier {
    /// A verifier of the tokens of `issuer`.
    pub(crate) fn new(issuer: Issuer) -> Self {
        Self::with_capacity(issuer, CACHE_CAPACITY)
    }

    fn with_capacity(issuer: Issuer, capacity: usize) -> Self {
        let issuer = Arc::new(issuer);
        let jwks = Arc::new(Jwks::new(issuer.clone()));
        let revocations = Arc::new(Revocations::new(issuer.clone()));
        let mut rules = Validation::new(Algorithm::RS256);
        rules.algorithms = vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        rules.leeway = CLOCK_LEEWAY_S;
        rules.validate_nbf = true;
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "aud"]);
        Self { issuer, jwks, revocations, rules, verified: Cache::new(capacity) }
    }

    /// The URL of the issuer whose tokens are accepted.
    pub(crate) fn issuer(&self) -> &str {
        self.issuer.identifier()
    }

    /// The signing keys.
    pub(crate) fn jwks(&self) -> Arc<Jwks> {
        self.jwks.clone()
    }

    /// The tokens that are revoked.
    pub(crate) fn revocations(&self) -> Arc<Revocations> {
        self.revocations.clone()
    }

    /// The bearer of `token`. Fails if the token is not valid or is revoked, or if its key is unknown and Identity cannot be
    /// reached.
    pub(crate) async fn verify(&self, token: &str) -> Result<Caller, ApiError> {
        let caller = self.verify_claims(token).await?;
        if self.revocations.is_revoked(caller.token()) { Err(ApiError::BadToken) } else { Ok(caller) }
    }

    /// For how long the token of `caller` is still valid, unless it is revoked; zero if it is revoked or has expired.
    pub(crate) fn remaining(&self, caller: &Caller) -> Duration {
        if self.revocations.is_revoked(caller.token()) {
            return Duration::ZERO;
        }
        caller.valid_until().saturating_duration_since(Instant::now().into())
    }

    /// The bearer of `token`, whether or not it is revoked.
    async fn verify_claims(&self, token: &str) -> Result<Caller, ApiError> {
        let hash = digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes");
        if let Some(caller) = self.cached(&hash) {
            return Ok(caller);
        }
        let header = decode_header(token).map_err(|_| ApiError::BadToken)?;
        let kid =
            header.kid.as_deref().filter(|_| self.is_access_token(&header)).ok_or(ApiError::BadToken)?;
        let key = self.jwks.find(kid).await?;
        let mut rules = self.rules.clone();
        rules.algorithms = vec![header.alg];
        let claims = decode::<Claims>(token, &key, &rules).map_err(|_| ApiError::BadToken)?.claims;
        if claims.iss != self.issuer.identifier() {
            return Err(ApiError::BadToken);
        }
        let (now, valid_for) = (Instant::now(), remaining(claims.exp).min(MAX_VALIDITY));
        let caller = Caller::new(claims, (now + valid_for).into());
        let until = now + MAX_CACHE_TIME.min(valid_for);
        self.cache(hash, until, caller.clone());
        Ok(caller)
    }

    /// Whether the header is that of an access token (RFC 9068), signed with an algorithm that is accepted, and without an
    /// extension that would have to be understood (`crit`).
    fn is_access_token(&self, header: &Header) -> bool {
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        matches!(typ.as_str(), "at+jwt" | "application/at+jwt")
            && self.rules.algorithms.contains(&header.alg)
            && header.crit.is_none()
    }

    fn cached(&self, hash: &TokenHash) -> Option<Caller> {
        let (until, caller) = self.verified.get(hash)?;
        (Instant::now() < until).then_some(caller)
    }

    fn cache(&self, hash: TokenHash, until: Instant, caller: Caller) {
        self.verified.insert(hash, (until, caller));
    }
}

/// The time until a token expires, the leeway included.
fn remaining(expires_at: u64) -> Duration {
    let valid_s =
        expires_at.saturating_add(CLOCK_LEEWAY_S).saturating_sub(jsonwebtoken::get_current_timestamp());
    Duration::from_secs(valid_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_in_use_stays_cached_while_others_come_and_go() {
        let issuer = Issuer::new("http://127.0.0.1:1".to_owned(), None).unwrap();
        let verifier = TokenVerifier::with_capacity(issuer, 100);
        let claims = r#"{"iss": "x", "sub": "x", "exp": 0}"#;
        let caller = Caller::new(serde_json::from_str::<Claims>(claims).unwrap(), Instant::now().into());
        let until = Instant::now() + MAX_CACHE_TIME;
        let hash = |n: u32| -> TokenHash { digest(&SHA256, &n.to_be_bytes()).as_ref().try_into().unwrap() };
        verifier.cache(hash(0), until, caller.clone());
        for n in 1..1000 {
            assert!(verifier.cached(&hash(0)).is_some(), "after {n} others");
            verifier.cache(hash(n), until, caller.clone());
        }
        verifier.cache(hash(0), Instant::now(), caller);
        assert!(verifier.cached(&hash(0)).is_none(), "its time is over");
    }
}
