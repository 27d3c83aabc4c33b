//! What a handler may reach, and the three verbs that go through a pipeline.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use database::DatabaseError;
use domain::{Grant, Report, ReportOutcome, SettleResult, Submission, TaskId, Timestamp, Ttl};
use store::{ClaimById, Granted, Store};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::auth::token_verifier::TokenVerifier;
use crate::batching::batcher::{BatchOperation, Batcher};
use crate::catalogue::Catalogue;
use crate::kafka::ticket_republisher;
use crate::long_poll::queue::LongPoll;
use crate::metrics;
use crate::notify::notifier::Notifier;

/// What an item of a pipeline holds beside its texts, about.
const ENTRY: usize = 512;

/// How the Backend behaves. Sizes are bytes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The issuer whose tokens count, and where its keys are found.
    pub identity_url: String,
    /// The authorities whose certificates count there, as PEM, and no others; without it those of the platform.
    pub identity_ca: Option<Vec<u8>>,
    /// How often overdue tasks and silent workers are looked for anyway.
    pub check_period: Duration,
    /// How often those who wait look for themselves: word from another Backend may be lost.
    pub slow_check: Duration,
    /// The life of a task whose submitter and operation name none; without it `ttl` is required.
    pub default_ttl: Option<Ttl>,
    /// The longest life.
    pub max_ttl: Ttl,
    /// How long a task may wait for a claim.
    pub start_within: Ttl,
    /// How long an ended task is kept, counted from its submission.
    pub keep_ended: Duration,
    /// A worker that has sent heartbeats is lost after so much silence.
    pub worker_lost: Duration,
    /// How long a task stays ready before it is offered over Kafka again.
    pub resend_period: Duration,
    /// Which web pages of other origins may call the API.
    pub cors_origins: Vec<String>,
    /// The largest parameters.
    pub max_parameters: usize,
    /// Whether the database is sampled for the figures.
    pub is_sampled: bool,
    /// The largest result.
    pub max_result: usize,
    /// The time limit of a request, waiting that it asked for not counted.
    pub request_timeout: Duration,
}

/// Everything that handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Parts>);

/// See [`App`].
pub(crate) struct Parts {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) verifier: TokenVerifier,
    pub(crate) catalogue: Catalogue,
    pub(crate) bells: Arc<Notifier>,
    /// `None`: there is no Kafka, and workers pull.
    pub(crate) broker: Option<Broker>,
    pub(crate) submit: Batcher<Submit>,
    pub(crate) claim: Batcher<Claim>,
    pub(crate) settle: Batcher<Settle>,
    pub(crate) pulls: LongPoll,
    /// Rings when the service stops: those who wait are answered at once.
    pub(crate) stop: CancellationToken,
}

impl App {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The moment so long ago, by the database's clock.
    pub(crate) fn ago(&self, span: Duration) -> Timestamp {
        self.store.now().plus_micros(-i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Accepts tasks, then tells those who wait for work.
pub(crate) struct Submit {
    pub(crate) store: Store,
    pub(crate) bells: Arc<Notifier>,
    pub(crate) broker: Option<Broker>,
}

impl BatchOperation for Submit {
    const NAME: &'static str = "submit";

    type Input = Submission;
    type Output = ();

    fn task(submission: &Submission) -> TaskId {
        submission.id
    }

    fn weight(submission: &Submission) -> usize {
        ENTRY + submission.parameters.as_ref().map_or(0, |json| json.text().len())
    }

    async fn run(&self, batch: &[Submission]) -> Result<Vec<()>, DatabaseError> {
        self.store.submit(batch).await?;
        metrics::accepted(batch.len());
        if let Some(broker) = &self.broker {
            ticket_republisher::publish_ticket(broker, batch);
        }
        self.bells.ready(batch.iter().map(|task| &task.name));
        Ok(vec![(); batch.len()])
    }
}

/// Claims tasks by id, then sets the alarm for their deadlines.
pub(crate) struct Claim {
    pub(crate) store: Store,
    pub(crate) bells: Arc<Notifier>,
}

impl BatchOperation for Claim {
    const NAME: &'static str = "claim";

    type Input = ClaimById;
    type Output = Option<TimedGrant>;

    fn task(ask: &ClaimById) -> TaskId {
        ask.id
    }

    fn weight(_: &ClaimById) -> usize {
        ENTRY
    }

    async fn run(&self, batch: &[ClaimById]) -> Result<Vec<Option<TimedGrant>>, DatabaseError> {
        let sent = Instant::now();
        let granted = self.store.claim_by_id(batch).await?;
        metrics::granted("id", granted.len());
        self.bells.alarm.set(granted.iter().map(|granted| granted.grant.remaining_ms));
        let mut granted: HashMap<_, _> =
            granted.into_iter().map(|Granted { grant, .. }| (grant.id, TimedGrant { grant, sent })).collect();
        Ok(batch.iter().map(|ask| granted.remove(&ask.id)).collect())
    }
}

/// A grant, and when its claim was sent to the database.
#[derive(Debug, Clone)]
pub(crate) struct TimedGrant {
    pub(crate) grant: Grant,
    pub(crate) sent: Instant,
}

/// Settles reports, then tells those who wait for the tasks or for work.
pub(crate) struct Settle {
    pub(crate) store: Store,
    pub(crate) bells: Arc<Notifier>,
}

impl BatchOperation for Settle {
    const NAME: &'static str = "settle";

    type Input = Report;
    type Output = SettleResult;

    fn task(report: &Report) -> TaskId {
        report.id
    }

    fn weight(report: &Report) -> usize {
        ENTRY
            + match &report.reported {
                ReportOutcome::Result(result) => result.text().len(),
                ReportOutcome::Error(error) => error.len(),
                ReportOutcome::Released => 0,
            }
    }

    async fn run(&self, batch: &[Report]) -> Result<Vec<SettleResult>, DatabaseError> {
        let settled = self.store.settle(batch).await?;
        for settled in &settled {
            metrics::settled(*settled);
        }
        let over = |settled: &SettleResult| {
            matches!(
                settled,
                SettleResult::Finished | SettleResult::Cancelled { .. } | SettleResult::Late { .. }
            )
        };
        let ended: Vec<TaskId> = batch
            .iter()
            .zip(&settled)
            .filter(|(_, settled)| over(settled))
            .map(|(report, _)| report.id)
            .collect();
        self.bells.ended(&ended);
        if settled.contains(&SettleResult::Released) {
            self.bells.notify_any_ready();
        }
        Ok(settled)
    }
}
