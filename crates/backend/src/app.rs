//! What request handlers and background tasks share.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use domain::{InstallationId, Timestamp};
use store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::token_verifier::TokenVerifier;
use crate::batching::batcher::Batcher;
use crate::catalogue::Catalogue;
use crate::lifecycle::claim::ClaimBatch;
use crate::lifecycle::progress::ProgressBatch;
use crate::lifecycle::settle::Settler;
use crate::lifecycle::submit::Submitter;
use crate::long_poll::queue::LongPoll;
use crate::notify::notifier::Notifier;
use crate::notify::ticket_publisher::TicketPublisher;
use crate::rate_limit::RateLimit;
use crate::settings::Settings;

/// The open service, shared as `Arc<AppState>`.
pub(crate) struct AppState {
    pub(crate) store: Store,
    pub(crate) installation: InstallationId,
    pub(crate) settings: Settings,
    pub(crate) token_verifier: TokenVerifier,
    pub(crate) rate_limit: RateLimit,
    pub(crate) catalogue: Catalogue,
    pub(crate) notifier: Arc<Notifier>,
    /// `None`: Kafka is not used, and workers claim by type only.
    pub(crate) broker: Option<Broker>,
    pub(crate) submitter: Submitter,
    pub(crate) claims: Batcher<ClaimBatch>,
    pub(crate) settler: Settler,
    pub(crate) progress: Batcher<ProgressBatch>,
    pub(crate) long_poll: LongPoll,
    /// The bytes that are left for the bodies of workers' requests.
    pub(crate) body_budget: Arc<Semaphore>,
    /// The bytes that are left for batches of submissions.
    pub(crate) batch_budget: Arc<Semaphore>,
    /// Cancelled when the service stops: then waiting requests are answered at once.
    pub(crate) stop: CancellationToken,
}

impl AppState {
    /// What publishes tickets; `None` without Kafka.
    pub(crate) fn tickets(&self) -> Option<TicketPublisher> {
        let broker = self.broker.clone()?;
        Some(TicketPublisher { broker, installation: self.installation })
    }

    /// The time `span` ago, by the database's clock.
    pub(crate) fn ago(&self, span: Duration) -> Timestamp {
        self.store.now().plus_micros(-i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
    }
}
