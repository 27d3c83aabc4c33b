//! Who is asking: a bearer token, verified once and remembered by its hash.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::OwnerId;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde::Deserialize;

use crate::app::App;
use crate::auth::jwks::Jwks;
use crate::error::ApiError;

/// What a token must be for (`aud`), and what its scope must hold.
const AUDIENCE: &str = "TaskerWebAPI";

/// Verified tokens are remembered no longer than this, so that a withdrawn key stops counting.
const REMEMBERED: Duration = Duration::from_mins(5);

/// How many verified tokens are remembered; beyond it the cache begins anew.
const CAPACITY: usize = 20_000;

/// Clocks of two machines may differ by this much, in seconds.
const LEEWAY: u64 = 10;

/// A verified token's bearer, whatever its role.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    subject: String,
    is_user: bool,
    is_worker: bool,
    has_scope: bool,
}

/// A caller who may submit tasks and see its own: roles User and Admin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserCaller(pub(crate) OwnerId);

/// A caller who may use the service API: roles Worker and Admin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerCaller;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: u64,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    roles: Vec<String>,
}

/// Verifies tokens and remembers the verdicts.
#[derive(Debug)]
pub(crate) struct TokenVerifier {
    keys: Jwks,
    rules: Validation,
    remembered: Mutex<HashMap<[u8; 32], (Instant, Caller)>>,
}

impl TokenVerifier {
    pub(crate) fn new(keys: Jwks) -> Self {
        let mut rules = Validation::new(Algorithm::RS256);
        rules.algorithms = vec![Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];
        rules.leeway = LEEWAY;
        rules.validate_nbf = true;
        rules.set_audience(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "aud"]);
        Self { keys, rules, remembered: Mutex::default() }
    }

    pub(crate) fn keys(&self) -> &Jwks {
        &self.keys
    }

    async fn verify(&self, token: &str) -> Result<Caller, ApiError> {
        let hash = digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes");
        if let Some(caller) = self.recall(&hash) {
            return Ok(caller);
        }
        let header = decode_header(token).map_err(|_| ApiError::BadToken)?;
        let kid =
            header.kid.as_deref().filter(|_| self.is_access_token(&header)).ok_or(ApiError::BadToken)?;
        let key = self.keys.find(kid).await?;
        let mut rules = self.rules.clone();
        rules.algorithms = vec![header.alg];
        let claims = decode::<Claims>(token, &key, &rules).map_err(|_| ApiError::BadToken)?.claims;
        if claims.iss != self.keys.issuer() {
            return Err(ApiError::BadToken);
        }
        let left = claims.exp.saturating_add(LEEWAY).saturating_sub(jsonwebtoken::get_current_timestamp());
        let caller = Caller::from(claims);
        self.remember(hash, Instant::now() + REMEMBERED.min(Duration::from_secs(left)), caller.clone());
        Ok(caller)
    }

    /// An access token (RFC 9068) under an algorithm of ours, with no extension that we would have to understand.
    fn is_access_token(&self, header: &Header) -> bool {
        let typ = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
        matches!(typ.as_str(), "at+jwt" | "application/at+jwt")
            && self.rules.algorithms.contains(&header.alg)
            && header.crit.is_none()
    }

    fn recall(&self, hash: &[u8; 32]) -> Option<Caller> {
        let remembered = self.remembered.lock().expect("no panic while it is held");
        remembered.get(hash).filter(|(until, _)| Instant::now() < *until).map(|(_, caller)| caller.clone())
    }

    fn remember(&self, hash: [u8; 32], until: Instant, caller: Caller) {
        let mut remembered = self.remembered.lock().expect("no panic while it is held");
        if remembered.len() >= CAPACITY {
            remembered.clear();
        }
        remembered.insert(hash, (until, caller));
    }
}

impl Caller {
    /// Its role does not open this door.
    fn lacks(&self, parts: &Parts, role: &'static str) -> ApiError {
        let (subject, method, path) = (&self.subject, &parts.method, parts.uri.path());
        tracing::info!(target: "audit", { audit.event = "role_missing", account.id = subject }, "{subject} asked for {method} {path}, which wants {role}");
        ApiError::NoRole(role)
    }
}

impl From<Claims> for Caller {
    fn from(claims: Claims) -> Self {
        let has = |role: &str| claims.roles.iter().any(|held| held == role);
        Self {
            is_user: has("User") || has("Admin"),
            is_worker: has("Worker") || has("Admin"),
            has_scope: claims.scope.split(' ').any(|scope| scope == AUDIENCE),
            subject: claims.sub,
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let mut headers = parts.headers.get_all(AUTHORIZATION).iter();
        let header = headers.next().ok_or(ApiError::NoToken)?;
        let text = header.to_str().ok().filter(|_| headers.next().is_none()).ok_or(ApiError::BadToken)?;
        let (scheme, token) = text.split_once(' ').ok_or(ApiError::BadToken)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(ApiError::NoToken);
        }
        let caller = app.verifier.verify(token.trim()).await?;
        if caller.has_scope { Ok(caller) } else { Err(ApiError::NoScope) }
    }
}

impl FromRequestParts<App> for UserCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        // A client's own token names no user (RFC 9700, 4.15).
        let owner = caller.subject.parse().ok().filter(|_| caller.is_user);
        owner.map(Self).ok_or_else(|| caller.lacks(parts, "a person's token with the role User or Admin"))
    }
}

impl FromRequestParts<App> for WorkerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.is_worker { Ok(Self) } else { Err(caller.lacks(parts, "the role Worker or Admin")) }
    }
}
