//! The access tokens that Identity has revoked before they expire, fetched periodically.

use parking_lot::RwLock;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::HeaderValue;
use telemetry::{Outage, error_chain};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use web::revocation::{RevocationList, subject_digest};

use crate::auth::issuer::{FetchError, Fetched, Issuer};

/// How often the list is fetched. While Identity answers, a revoked token is refused at the latest after this time and one request.
const REFRESH_PERIOD: Duration = Duration::from_secs(10);

/// How often the list is fetched while Identity is unavailable.
const RETRY_PERIOD: Duration = Duration::from_secs(1);

/// The list of one issuer.
#[derive(Debug)]
pub(crate) struct Revocations {
    issuer: Arc<Issuer>,
    /// The generation from which on tokens are valid, by the digest of their subject.
    valid_from: RwLock<HashMap<String, i64>>,
    is_current: AtomicBool,
}

/// What a token is revoked by: its subject, its grant if it has one, and its generation.
#[derive(Debug, Clone)]
pub(crate) struct TokenGeneration {
    subject: String,
    grant: Option<String>,
    generation: i64,
}

impl TokenGeneration {
    pub(crate) fn new(subject: &str, grant: Option<&str>, generation: i64) -> Self {
        Self { subject: subject_digest(subject), grant: grant.map(subject_digest), generation }
    }
}

impl Revocations {
    /// The list of `issuer`, empty until it is fetched.
    pub(crate) fn new(issuer: Arc<Issuer>) -> Self {
        // The list counts as current until a fetch fails.
        Self { issuer, valid_from: RwLock::default(), is_current: AtomicBool::new(true) }
    }

    /// Whether a token is revoked, according to the list that was fetched last.
    pub(crate) fn is_revoked(&self, token: &TokenGeneration) -> bool {
        let valid_from = self.valid_from.read();
        let mut keys = [Some(&token.subject), token.grant.as_ref()].into_iter().flatten();
        keys.any(|key| valid_from.get(key).is_some_and(|valid_from| token.generation < *valid_from))
    }

    /// Whether the list could be fetched when that was last tried.
    pub(crate) fn is_current(&self) -> bool {
        self.is_current.load(Ordering::Relaxed)
    }

    async fn refresh(&self, tag: &mut Option<HeaderValue>) -> Result<(), FetchError> {
        let address = self.issuer.discover().await?.tasker_revocations_uri;
        let address = address.ok_or(FetchError::NoRevocations)?;
        let fetched = self.issuer.download_if_changed::<RevocationList>(&address, tag.as_ref()).await?;
        if let Fetched::Changed(list, new_tag) = fetched {
            let entries = list.revocations.into_iter().map(|entry| (entry.subject, entry.generation));
            *self.valid_from.write() = entries.collect();
            *tag = new_tag;
        }
        Ok(())
    }
}

/// Fetches the list periodically until `stop`. While that fails, the tokens that are known to be revoked are still refused.
pub(crate) async fn run(revocations: Arc<Revocations>, stop: CancellationToken) {
    let (mut outage, mut tag) = (Outage::default(), None);
    loop {
        let Some(refreshed) = stop.run_until_cancelled(revocations.refresh(&mut tag)).await else { return };
        revocations.is_current.store(refreshed.is_ok(), Ordering::Relaxed);
        match &refreshed {
            Ok(()) if outage.record_success().is_some() => {
                tracing::info!("the list of revoked tokens can be fetched again");
            }
            Ok(()) => {}
            Err(error) => {
                let cause = error_chain(error);
                if outage.record_failure(&cause) {
                    tracing::warn!(error = %cause, "the list of revoked tokens cannot be fetched; tokens that are revoked meanwhile are accepted until they expire");
                }
            }
        }
        let pause = if refreshed.is_ok() { REFRESH_PERIOD } else { RETRY_PERIOD };
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
    }
}
