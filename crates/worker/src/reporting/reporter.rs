//! The ways of reports out of the worker: over Kafka where there is one, else over HTTP; and their end, in order.

use std::time::Duration;

use broker::Broker;
use client::Client;
use domain::WorkerName;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::outage_log::BackendOutageLog;
use crate::reporting::http_reporter::{HttpReporter, Reports};
use crate::reporting::kafka_reporter::KafkaReporter;
use crate::reporting::unconfirmed_results::UnconfirmedResults;

/// How long a stopping worker tries to say its last words.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Carries reports until it is flushed, or dropped.
pub(crate) struct Reporter {
    /// Where reports are put.
    pub(crate) reports: Reports,
    /// What Kafka has of them.
    pub(crate) unconfirmed: Option<UnconfirmedResults>,
    carriers: TaskTracker,
    flush: CancellationToken,
    _no_more: DropGuard,
}

impl Reporter {
    /// Begins to carry.
    pub(crate) fn start(
        client: Client,
        worker: WorkerName,
        link: BackendOutageLog,
        broker: Option<Broker>,
    ) -> Self {
        let (http_reporter, over_http) = HttpReporter::new(client, worker.clone(), link);
        let (carriers, flush, no_more) =
            (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let (reports, unconfirmed, courier_last) = match broker {
            None => (over_http, None, flush.clone()),
            Some(broker) => {
                let (reports, receiver) = over_http.linked();
                let unconfirmed = UnconfirmedResults::before(over_http.clone());
                let kafka_reporter = KafkaReporter {
                    broker,
                    worker,
                    unconfirmed: unconfirmed.clone(),
                    receiver,
                    over_http,
                    reports: reports.clone(),
                };
                let (last, done, end) = (flush.clone(), CancellationToken::new(), no_more.clone());
                // The postman's last words go through the courier.
                let courier_last = done.clone();
                carriers.spawn(async move {
                    let _done = done.drop_guard();
                    end.run_until_cancelled(kafka_reporter.run(last)).await
                });
                (reports, Some(unconfirmed), courier_last)
            }
        };
        let end = no_more.clone();
        carriers.spawn(async move { end.run_until_cancelled(http_reporter.run(courier_last)).await });
        carriers.close();
        Self { reports, unconfirmed, carriers, flush, _no_more: no_more.drop_guard() }
    }

    /// Carries what is there, for a while.
    pub(crate) async fn flush(self, worker: &WorkerName) {
        self.flush.cancel();
        if timeout(FLUSH_LIMIT, self.carriers.wait()).await.is_err() {
            let left = self.reports.count();
            warn!(worker.name = %worker, "worker {worker} leaves {left} reports that the Backend did not take");
        }
    }
}
