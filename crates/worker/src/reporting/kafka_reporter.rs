//! Sends reports over Kafka, each as soon as it arrives, and over HTTP what Kafka does not accept.

use std::time::Duration;

use broker::{Broker, PublishError, ResultMessage};
use domain::{InstallationId, WorkerName};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::reporting::report_queue::{PendingReport, ReportQueue, next_report};
use crate::reporting::unconfirmed_results::UnconfirmedResults;

/// How long Kafka may take to acknowledge a result; less if half of the task's remaining time is less.
const MAX_PUBLISH_TIMEOUT: Duration = Duration::from_secs(2);

/// Publishes results to Kafka.
pub(crate) struct KafkaReporter {
    pub(crate) broker: Broker,
    pub(crate) worker: WorkerName,
    /// The installation that the worker belongs to, once a heartbeat has been accepted; until then reports go over HTTP.
    pub(crate) installation: watch::Receiver<Option<InstallationId>>,
    /// The results that Kafka has acknowledged and no heartbeat has confirmed.
    pub(crate) unconfirmed: UnconfirmedResults,
    /// The receiving end of `queue`.
    pub(crate) receiver: mpsc::UnboundedReceiver<PendingReport>,
    /// The queue from which reports are taken; it counts them while they are being published.
    pub(crate) queue: ReportQueue,
    /// The queue of the HTTP reporter.
    pub(crate) http_queue: ReportQueue,
}

impl KafkaReporter {
    /// Publishes until `shutdown` is cancelled and every report that was added by then is acknowledged by Kafka or in the
    /// queue for HTTP. Then it adds to that queue what Kafka has acknowledged and no heartbeat has confirmed.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let in_flight = TaskTracker::new();
        while let Some(pending) = next_report(&mut self.receiver, &shutdown).await {
            let installation = *self.installation.borrow();
            if let Some(installation) = installation
                && self.unconfirmed.has_room()
            {
                in_flight.spawn(self.publish(installation, pending));
            } else {
                self.http_queue.add(pending);
                self.queue.decrement_unsettled(1);
            }
        }
        in_flight.close();
        in_flight.wait().await;
        self.unconfirmed.flush_to_http();
    }

    /// Publishes one report, or adds it to the queue for HTTP. The timeout leaves half of the task's remaining time for
    /// HTTP; a message that Kafka accepts after the timeout makes the report arrive twice, which is harmless.
    fn publish(
        &self,
        installation: InstallationId,
        pending: PendingReport,
    ) -> impl Future<Output = ()> + use<> {
        let (worker, report) = (self.worker.clone(), pending.report.clone());
        let message = ResultMessage { installation, worker, report };
        let (broker, unconfirmed) = (self.broker.clone(), self.unconfirmed.clone());
        let (queue, http_queue) = (self.queue.clone(), self.http_queue.clone());
        let publish_timeout = (pending.remaining() / 2).min(MAX_PUBLISH_TIMEOUT);
        async move {
            let id = pending.report.id;
            match timeout(publish_timeout, broker.publish_result(&message)).await {
                Ok(Ok(())) => unconfirmed.add(pending),
                Ok(Err(PublishError::Unavailable | PublishError::NotSendable)) => http_queue.add(pending),
                Ok(Err(PublishError::Rejected(error))) => {
                    tracing::debug!(task.id = %id, error = %error, "Kafka refused a result: sending it over HTTP");
                    http_queue.add(pending);
                }
                Err(_) => {
                    tracing::debug!(task.id = %id, "Kafka did not acknowledge a result in time: sending it over HTTP");
                    http_queue.add(pending);
                }
            }
            queue.decrement_unsettled(1);
        }
    }
}
