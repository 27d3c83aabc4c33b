//! Identity's public keys: found through its discovery document, fetched over HTTP, and kept.

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use telemetry::error_chain;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::ApiError;

/// How long a fetch may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Keys are fetched anew this often, so that one that was withdrawn stops counting.
const FRESH: Duration = Duration::from_mins(5);

/// The same while Identity is away.
const RETRY: Duration = Duration::from_secs(1);

/// An unknown key id causes at most one fetch in this time, however many tokens name it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The same while Identity is away.
const PATIENCE_AWAY: Duration = Duration::from_millis(500);

/// The longest answer that is read, in bytes. Keys are short.
const MOST: usize = 1 << 20;

/// Why the keys could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("Identity does not answer")]
    Http(#[from] reqwest::Error),
    #[error("what answers is no Identity: it sends more than {MOST} bytes")]
    TooLong,
    #[error("what answers is no Identity")]
    Unreadable(#[from] serde_json::Error),
    #[error("Identity at {expected} calls itself {found}")]
    Issuer { expected: String, found: String },
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Each key is read by itself: one of a kind that we do not know spoils no other.
#[derive(Deserialize)]
struct KeySet {
    keys: Vec<serde_json::Value>,
}

/// The key set of one issuer.
#[derive(Debug)]
pub(crate) struct Jwks {
    issuer: String,
    http: Client,
    known: RwLock<Vec<(String, DecodingKey)>>,
    /// One fetch at a time.
    last: Mutex<LastFetch>,
}

/// How the last fetch went, and the moment before which there is no other.
#[derive(Debug, Default)]
struct LastFetch {
    not_before: Option<Instant>,
    failure: Option<Arc<FetchError>>,
}

impl Jwks {
    /// The keys of `issuer`, whose certificate must come from `ca`, or else from an authority of the platform.
    pub(crate) fn of(issuer: String, ca: Option<&[u8]>) -> Result<Self, reqwest::Error> {
        let http = connections(&issuer, ca)?;
        Ok(Self { issuer, http, known: RwLock::default(), last: Mutex::default() })
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key `kid`, fetched if it is not among the known ones.
    pub(crate) async fn find(&self, kid: &str) -> Result<DecodingKey, ApiError> {
        if let Some(key) = self.known(kid) {
            return Ok(key);
        }
        let refreshed = self.refresh().await;
        let key = self.known(kid);
        key.ok_or(if refreshed.is_ok() { ApiError::BadToken } else { ApiError::Unavailable("Identity") })
    }

    /// Fetches the keys, unless that was tried a moment ago. What was known stays when Identity is away.
    async fn refresh(&self) -> Result<(), Arc<FetchError>> {
        let mut last = self.last.lock().await;
        if last.not_before.is_none_or(|at| at <= Instant::now()) {
            let fetched = self.fetch().await;
            let patience = if fetched.is_ok() { PATIENCE } else { PATIENCE_AWAY };
            let failure = match fetched {
                Ok(set) => {
                    let keys = set.keys.into_iter().filter_map(parse_signing_key).collect();
                    *self.known.write().expect("no panic while it is held") = keys;
                    None
                }
                Err(failure) => Some(Arc::new(failure)),
            };
            *last = LastFetch { not_before: Some(Instant::now() + patience), failure };
        }
        last.failure.clone().map_or(Ok(()), Err)
    }

    fn known(&self, kid: &str) -> Option<DecodingKey> {
        let known = self.known.read().expect("no panic while it is held");
        known.iter().find(|(id, _)| id == kid).map(|(_, key)| key.clone())
    }

    async fn fetch(&self) -> Result<KeySet, FetchError> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer);
        let discovery: Discovery = self.download(&address).await?;
        if discovery.issuer != self.issuer {
            return Err(FetchError::Issuer { expected: self.issuer.clone(), found: discovery.issuer });
        }
        self.download(&discovery.jwks_uri).await
    }

    async fn download<T: DeserializeOwned>(&self, address: &str) -> Result<T, FetchError> {
        let mut response = self.http.get(address).send().await?.error_for_status()?;
        let mut answer = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if answer.len() + chunk.len() > MOST {
                return Err(FetchError::TooLong);
            }
            answer.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// Identity is where the settings say, whatever the environment or an answer says: it is not found through a proxy, nor
/// by a redirect, and an issuer with TLS is believed over TLS alone.
fn connections(issuer: &str, ca: Option<&[u8]>) -> reqwest::Result<Client> {
    let is_https = issuer.starts_with("https:");
    let connections =
        Client::builder().no_proxy().redirect(Policy::none()).timeout(LIMIT).https_only(is_https);
    match ca {
        Some(pem) => connections.tls_certs_only(Certificate::from_pem_bundle(pem)?),
        None if is_https => connections,
        // A small container has no authorities, and needs none for plain HTTP.
        None => connections.tls_certs_only([]),
    }
    .build()
}

fn parse_signing_key(key: serde_json::Value) -> Option<(String, DecodingKey)> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|told| *told == PublicKeyUse::Signature);
    let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| signs)?;
    Some((jwk.common.key_id?, key))
}

/// Keeps the keys fresh until `stop`, so that no request waits for those that are known.
pub(crate) async fn run(app: App, stop: CancellationToken) {
    // Each reason is told once in an outage: first nobody listens there, then it may be somebody else.
    let mut told: Vec<String> = Vec::new();
    loop {
        let refreshed = tokio::select! {
            () = stop.cancelled() => return,
            refreshed = app.verifier.keys().refresh() => refreshed,
        };
        let why = refreshed.err().map(|error| error_chain(error.as_ref()));
        let away = why.is_some();
        match why {
            None if !told.is_empty() => {
                tracing::info!("Identity is back");
                told.clear();
            }
            Some(why) if !told.contains(&why) => {
                tracing::warn!(error = %why, "the keys of Identity cannot be fetched; tokens of known keys still count");
                told.push(why);
            }
            _ => {}
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(if away { RETRY } else { FRESH }) => {}
        }
    }
}
