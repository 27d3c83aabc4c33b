//! Identity's signing keys (a JWK Set, RFC 7517): found through its discovery document, fetched over HTTP, cached.

use parking_lot::RwLock;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use serde::Deserialize;
use telemetry::{Outage, error_chain};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::auth::issuer::{FetchError, Issuer};
use crate::error::ApiError;

/// How often the keys are fetched, so that a withdrawn key is no longer accepted.
const REFRESH_PERIOD: Duration = Duration::from_mins(5);

/// How often the keys are fetched while Identity is unavailable.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// The shortest time between two fetches, however many tokens name an unknown key.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(5);

/// The shortest time between two fetches while Identity is unavailable.
const MIN_FETCH_INTERVAL_UNAVAILABLE: Duration = Duration::from_millis(500);

/// Each key is parsed by itself, so that a key of an unknown kind does not make the others unreadable.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// The key set of one issuer.
#[derive(Debug)]
pub(crate) struct Jwks {
    issuer: Arc<Issuer>,
    keys: RwLock<Vec<(String, DecodingKey)>>,
    /// Locked during a fetch, so that there is one at a time.
    last_fetch: Mutex<LastFetch>,
}

/// How the last fetch went, and the time before which there is no other.
#[derive(Debug, Default)]
struct LastFetch {
    not_before: Option<Instant>,
    failure: Option<Arc<FetchError>>,
}

impl Jwks {
    /// The keys of `issuer`. Nothing is fetched yet.
    pub(crate) fn new(issuer: Arc<Issuer>) -> Self {
        Self { issuer, keys: RwLock::default(), last_fetch: Mutex::default() }
    }

    /// The key `kid`; the keys are fetched if it is unknown.
    pub(crate) async fn find(&self, kid: &str) -> Result<DecodingKey, ApiError> {
        if let Some(key) = self.cached(kid) {
            return Ok(key);
        }
        let refreshed = self.refresh().await;
        let key = self.cached(kid);
        key.ok_or(if refreshed.is_ok() { ApiError::BadToken } else { ApiError::NoIdentity })
    }

    /// Why no token can be verified: no keys were ever fetched. `None` once there are keys, which stay while Identity is
    /// unavailable.
    pub(crate) async fn reason_for_no_keys(&self) -> Option<String> {
        if !self.keys.read().is_empty() {
            return None;
        }
        let failure = self.refresh().await.err();
        let has_keys = !self.keys.read().is_empty();
        let reason =
            failure.map_or_else(|| "it publishes no keys".to_owned(), |error| error_chain(error.as_ref()));
        (!has_keys).then_some(reason)
    }

    /// Fetches the keys, unless that was tried just before. While Identity is unavailable the cached keys remain.
    async fn refresh(&self) -> Result<(), Arc<FetchError>> {
        let mut last = self.last_fetch.lock().await;
        if last.not_before.is_none_or(|at| at <= Instant::now()) {
            let fetched = self.fetch().await;
            let interval = if fetched.is_ok() { MIN_FETCH_INTERVAL } else { MIN_FETCH_INTERVAL_UNAVAILABLE };
            let failure = match fetched {
                Ok(set) => {
                    let keys = set.keys.into_iter().filter_map(parse_signing_key).collect();
                    *self.keys.write() = keys;
                    None
                }
                Err(failure) => Some(Arc::new(failure)),
            };
            *last = LastFetch { not_before: Some(Instant::now() + interval), failure };
        }
        last.failure.clone().map_or(Ok(()), Err)
    }

    fn cached(&self, kid: &str) -> Option<DecodingKey> {
        let keys = self.keys.read();
        keys.iter().find(|(id, _)| id == kid).map(|(_, key)| key.clone())
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let addresses = self.issuer.discover().await?;
        self.issuer.download(&addresses.jwks_uri).await
    }
}

/// The key and its id; `None` if it has no id, is not for signatures, or is of an unknown kind.
fn parse_signing_key(key: serde_json::Value) -> Option<(String, DecodingKey)> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let is_for_signatures =
        jwk.common.public_key_use.as_ref().is_none_or(|key_use| *key_use == PublicKeyUse::Signature);
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| is_for_signatures)?;
    Some((jwk.common.key_id?, key))
}

/// Fetches the keys periodically until `stop`, so that no request with a known key waits for a fetch.
pub(crate) async fn run(jwks: Arc<Jwks>, stop: CancellationToken) {
    let mut outage = Outage::default();
    loop {
        let Some(refreshed) = stop.run_until_cancelled(jwks.refresh()).await else { return };
        match &refreshed {
            Ok(()) if outage.record_success().is_some() => {
                tracing::info!("the keys of Identity can be fetched again");
            }
            Ok(()) => {}
            Err(error) => {
                let cause = error_chain(error.as_ref());
                if outage.record_failure(&cause) {
                    tracing::warn!(error = %cause, "the keys of Identity cannot be fetched; tokens signed with known keys are still accepted");
                }
            }
        }
        let pause = if refreshed.is_ok() { REFRESH_PERIOD } else { RETRY_PERIOD };
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}
