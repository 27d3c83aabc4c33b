//! Sends reports: over Kafka if configured, else over HTTP. On shutdown it flushes Kafka first, then HTTP.

use std::time::Duration;

use broker::Broker;
use client::Client;
use domain::{InstallationId, WorkerName};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tracing::warn;

use crate::backend_outage_log::BackendOutageLog;
use crate::reporting::http_reporter::HttpReporter;
use crate::reporting::kafka_reporter::KafkaReporter;
use crate::reporting::report_queue::ReportQueue;
use crate::reporting::unconfirmed_results::UnconfirmedResults;

/// How long a stopping worker tries to send the reports that are left.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends the reports of one worker until it is flushed. Dropping it stops it at once.
///
/// ```text
/// Running --flush--> FlushingKafka --all published or queued for HTTP--> FlushingHttp --all settled--> Stopped
///    |                     |                                                  |                           ^
///    '--------drop---------'------------------- drop, FLUSH_TIMEOUT ----------'---------------------------'
/// ```
///
/// Kafka comes first because what it does not accept, and what no heartbeat has confirmed, is sent over HTTP. Without Kafka
/// `FlushingKafka` is skipped.
pub(crate) struct Reporter {
    /// The queue to which reports are added.
    pub(crate) queue: ReportQueue,
    /// With Kafka: the results that it has acknowledged and no heartbeat has confirmed.
    pub(crate) unconfirmed: Option<UnconfirmedResults>,
    kafka: Option<Sender>,
    http: Sender,
}

/// A background task that sends reports until it is told to shut down and its queue is empty.
struct Sender {
    shutdown: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Reporter {
    /// Starts to send reports: state `Running`. `installation` is set by the first heartbeat that is accepted; `patience` is for
    /// results over Kafka, as [`UnconfirmedResults::new`].
    pub(crate) fn start(
        client: Client,
        worker: WorkerName,
        outage_log: BackendOutageLog,
        broker: Option<Broker>,
        installation: watch::Receiver<Option<InstallationId>>,
        patience: Duration,
    ) -> Self {
        let (http_reporter, http_queue) = HttpReporter::new(client, worker.clone(), outage_log);
        let http = Sender::spawn(|shutdown| http_reporter.run(shutdown));
        let Some(broker) = broker else {
            return Self { queue: http_queue, unconfirmed: None, kafka: None, http };
        };
        let (queue, receiver) = http_queue.with_shared_count();
        let unconfirmed = UnconfirmedResults::new(http_queue.clone(), patience);
        let kafka_reporter = KafkaReporter {
            broker,
            worker,
            installation,
            unconfirmed: unconfirmed.clone(),
            receiver,
            queue: queue.clone(),
            http_queue,
        };
        let kafka = Sender::spawn(|shutdown| kafka_reporter.run(shutdown));
        Self { queue, unconfirmed: Some(unconfirmed), kafka: Some(kafka), http }
    }

    /// Sends the reports that are left, for [`FLUSH_TIMEOUT`] at most, and stops.
    pub(crate) async fn flush(self, worker: &WorkerName) {
        let Self { queue, kafka, http, .. } = self;
        let flush = async {
            if let Some(kafka) = kafka {
                kafka.flush().await;
            }
            http.flush().await;
        };
        if timeout(FLUSH_TIMEOUT, flush).await.is_err() {
            let unsettled = queue.unsettled_count();
            warn!(worker.name = %worker, "worker {worker} stops with {unsettled} reports that the Backend has not settled");
        }
    }
}

impl Sender {
    fn spawn<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(CancellationToken) -> F) -> Self {
        let shutdown = CancellationToken::new();
        let task = TaskTracker::new().spawn(run(shutdown.clone()));
        Self { shutdown, task: AbortOnDropHandle::new(task) }
    }

    /// Waits until everything that is queued has been sent.
    async fn flush(self) {
        self.shutdown.cancel();
        // An error is a panic of the task, which the panic hook has reported.
        let _ = self.task.await;
    }
}
