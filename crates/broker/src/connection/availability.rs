//! Whether the brokers answer. An outage is logged once when it begins, with its cause, and once when it ends.

use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use telemetry::Outage;
use tokio::sync::{Notify, watch};

use crate::metrics;

/// Errors of a connection that explain an outage.
const CONNECTION_ERRORS: [RDKafkaErrorCode; 4] = [
    RDKafkaErrorCode::Authentication,
    RDKafkaErrorCode::BrokerTransportFailure,
    RDKafkaErrorCode::Resolve,
    RDKafkaErrorCode::SSL,
];

/// Whether the brokers answer. All Kafka clients of the process share one state; clones refer to it.
///
/// librdkafka reports brokers as down also when it has merely closed an idle connection. So an error of a client only makes
/// the brokers *suspected*; the topic manager then asks them for metadata and decides.
#[derive(Debug, Clone)]
pub(crate) struct BrokerAvailability(Arc<State>);

#[derive(Debug)]
struct State {
    up: watch::Sender<bool>,
    suspected: Notify,
    downtime: Mutex<Downtime>,
}

#[derive(Debug, Default)]
struct Downtime {
    outage: Outage,
    /// The latest error of a connection, as librdkafka worded it. The wording varies (it has times and counts), so only the
    /// first one of an outage is logged.
    cause: Option<String>,
}

impl BrokerAvailability {
    /// Down until a broker has answered.
    pub(crate) fn new() -> Self {
        let (up, suspected) = (watch::Sender::new(false), Notify::new());
        Self(Arc::new(State { up, suspected, downtime: Mutex::default() }))
    }

    /// Whether the brokers answered the latest metadata request.
    pub(crate) fn is_up(&self) -> bool {
        *self.0.up.borrow()
    }

    /// Changes when the brokers become available or unavailable.
    pub(crate) fn changes(&self) -> watch::Receiver<bool> {
        self.0.up.subscribe()
    }

    /// Why the brokers are unavailable; `None` while they are available.
    pub(crate) fn outage_cause(&self) -> Option<String> {
        let cause =
            || self.downtime().cause.clone().unwrap_or_else(|| "no broker has answered yet".to_owned());
        (!self.is_up()).then(cause)
    }

    /// Waits until the brokers answer.
    pub(crate) async fn wait_until_up(&self) {
        let _ = self.changes().wait_for(|up| *up).await;
    }

    /// Waits until a client reports an error that may mean an outage.
    pub(crate) async fn wait_until_suspected(&self) {
        self.0.suspected.notified().await;
    }

    /// Records that a broker has answered.
    pub(crate) fn mark_up(&self) {
        let mut downtime = self.downtime();
        if let Some(lasted) = downtime.outage.record_success() {
            tracing::info!("Kafka is available again after {lasted:.1?}");
        }
        downtime.cause = None;
        drop(downtime);
        metrics::set_up(true);
        self.0.up.send_if_modified(|up| !std::mem::replace(up, true));
    }

    /// Records that no broker answers. `cause` is used unless a connection's own error is known.
    pub(crate) fn mark_down(&self, cause: &str) {
        let mut downtime = self.downtime();
        if !downtime.outage.is_ongoing() {
            let cause = downtime.cause.get_or_insert_with(|| cause.to_owned()).clone();
            downtime.outage.record_failure(&cause);
            tracing::warn!(error = %cause, "Kafka is unavailable: workers pull and report over HTTP until it is back");
        }
        drop(downtime);
        metrics::set_up(false);
        self.0.up.send_if_modified(|up| std::mem::replace(up, false));
    }

    fn downtime(&self) -> MutexGuard<'_, Downtime> {
        self.0.downtime.lock()
    }
}

impl ClientContext for BrokerAvailability {
    /// Logs at `debug` and below: librdkafka repeats each failed connection, while Tasker logs an outage once.
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => {
                tracing::trace!(target: "librdkafka", facility, "{line}");
            }
            _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", error = %error, "{reason}");
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown | RDKafkaErrorCode::Fatal) => self.0.suspected.notify_one(),
            Some(code) if CONNECTION_ERRORS.contains(&code) => {
                self.downtime().cause = Some(reason.to_owned());
                self.0.suspected.notify_one();
            }
            _ => {}
        }
    }
}

/// For a consumer that is created only to validate the settings.
impl ConsumerContext for BrokerAvailability {}
