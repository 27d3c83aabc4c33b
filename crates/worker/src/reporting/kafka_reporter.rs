//! Reports over Kafka: each is sent as it comes, and what Kafka does not take goes over HTTP.

use std::time::Duration;

use broker::{Broker, PublishError, ResultMessage};
use domain::WorkerName;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::reporting::http_reporter::{PendingReport, Reports, next};
use crate::reporting::unconfirmed_results::UnconfirmedResults;

/// How long Kafka may take over a result, if its task's life is not shorter.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends reports over Kafka.
pub(crate) struct KafkaReporter {
    pub(crate) broker: Broker,
    pub(crate) worker: WorkerName,
    pub(crate) unconfirmed: UnconfirmedResults,
    /// What operations report.
    pub(crate) receiver: mpsc::UnboundedReceiver<PendingReport>,
    /// What goes over HTTP.
    pub(crate) over_http: Reports,
    /// Counts what is on its way.
    pub(crate) reports: Reports,
}

impl KafkaReporter {
    /// Sends until `last` is cancelled and everything that was put there by then has arrived in Kafka or goes over HTTP;
    /// what Kafka has and nobody has settled goes over HTTP then, too.
    pub(crate) async fn run(mut self, last: CancellationToken) {
        let on_the_way = TaskTracker::new();
        while let Some(pending) = next(&mut self.receiver, &last).await {
            // A report that Kafka cannot take is not one that waits for it.
            if !self.unconfirmed.has_room() {
                self.hand_over(pending);
                continue;
            }
            let posted = ResultMessage { worker: self.worker.clone(), report: pending.report.clone() };
            let broker = self.broker.clone();
            let (unconfirmed, over_http, reports) =
                (self.unconfirmed.clone(), self.over_http.clone(), self.reports.clone());
            // Time to say it over HTTP must be left. What Kafka takes after all is said twice, which is harmless.
            let patience = (pending.left() / 2).min(PATIENCE);
            on_the_way.spawn(async move {
                match timeout(patience, broker.publish_result(&posted)).await {
                    Ok(Ok(())) => unconfirmed.keep(pending),
                    Ok(Err(PublishError::Unavailable | PublishError::NotSendable)) => over_http.add(pending),
                    Ok(Err(PublishError::Refused(error))) => {
                        tracing::debug!(task.id = %pending.report.id, error = %error, "Kafka refused a result: it goes over HTTP");
                        over_http.add(pending);
                    }
                    Err(_) => {
                        tracing::debug!(task.id = %pending.report.id, "Kafka takes too long over a result: it goes over HTTP");
                        over_http.add(pending);
                    }
                }
                reports.forget(1);
            });
        }
        on_the_way.close();
        on_the_way.wait().await;
        self.unconfirmed.clear();
    }

    fn hand_over(&self, pending: PendingReport) {
        self.over_http.add(pending);
        self.reports.forget(1);
    }
}
