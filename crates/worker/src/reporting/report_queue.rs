//! The queue of reports that wait to be sent, and the count of those that no Backend has settled yet.

use std::time::Duration;

use client::Backoff;
use domain::{AttemptOutcome, GrantRef, Report, WorkerName};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Span, debug, info_span};

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::metrics;

/// The sending end of a queue of reports. Adding never waits: whoever claims tasks bounds the queue, by
/// [`ReportQueue::wait_until_unsettled_at_most`]. Clones share the queue.
#[derive(Clone)]
pub(crate) struct ReportQueue {
    sender: mpsc::UnboundedSender<PendingReport>,
    unsettled: watch::Sender<usize>,
}

/// A report that is not settled yet, and the deadline of its task.
pub(crate) struct PendingReport {
    pub(crate) report: Report,
    pub(crate) deadline: Deadline,
    /// The pauses after each time that the Backend failed (status 500) on a request with this report.
    pub(crate) server_error_backoff: Backoff,
}

impl ReportQueue {
    /// An empty queue and its receiving end.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<PendingReport>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, unsettled: watch::Sender::new(0) }, receiver)
    }

    /// Another empty queue that shares the count of unsettled reports with this one.
    pub(crate) fn with_shared_count(&self) -> (Self, mpsc::UnboundedReceiver<PendingReport>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, unsettled: self.unsettled.clone() }, receiver)
    }

    /// Adds a report, which counts as unsettled from now on.
    pub(crate) fn add(&self, pending: PendingReport) {
        self.unsettled.send_modify(|count| *count += 1);
        metrics::set_unsettled_reports(self.unsettled_count());
        if self.sender.send(pending).is_err() {
            self.decrement_unsettled(1);
            debug!("a report was dropped because the reporter has stopped");
        }
    }

    /// Lowers the count by `reports` that are settled, given up, or added to a queue of [`Self::with_shared_count`].
    pub(crate) fn decrement_unsettled(&self, reports: usize) {
        self.unsettled.send_modify(|count| *count -= reports);
        metrics::set_unsettled_reports(self.unsettled_count());
    }

    /// Waits until no more than `limit` reports are unsettled.
    pub(crate) async fn wait_until_unsettled_at_most(&self, limit: usize) {
        let mut unsettled = self.unsettled.subscribe();
        let _ = unsettled.wait_for(|count| *count <= limit).await;
    }

    /// How many reports are unsettled.
    pub(crate) fn unsettled_count(&self) -> usize {
        *self.unsettled.borrow()
    }
}

impl PendingReport {
    /// A report of a task that ends at `deadline`.
    pub(crate) fn new(report: Report, deadline: Deadline) -> Self {
        Self { report, deadline, server_error_backoff: Backoff::default() }
    }

    /// The grant that the report is about.
    pub(crate) const fn grant(&self) -> GrantRef {
        GrantRef { id: self.report.id, attempt: self.report.attempt }
    }

    /// The time left until the task's deadline; zero after it.
    pub(crate) fn remaining(&self) -> Duration {
        self.deadline.remaining(SuspendAwareInstant::now())
    }

    /// The length of the result or of the error's text, in bytes. The rest of a report is small.
    pub(crate) fn payload_bytes(&self) -> usize {
        match &self.report.reported {
            AttemptOutcome::Result(result) => result.text().len(),
            AttemptOutcome::Error(text) => text.len(),
            AttemptOutcome::Released => 0,
        }
    }

    /// The span with the fields that every log line about this report carries.
    pub(crate) fn log_span(&self, worker: &WorkerName) -> Span {
        let Report { id, attempt, trace, .. } = self.report;
        let span = info_span!("report", task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = Empty);
        if let Some(trace) = trace {
            span.record("trace.id", trace.id().to_string());
        }
        span
    }
}

/// The next report; `None` once `shutdown` is cancelled and every report that was added by then has been taken.
pub(crate) async fn next_report(
    receiver: &mut mpsc::UnboundedReceiver<PendingReport>,
    shutdown: &CancellationToken,
) -> Option<PendingReport> {
    tokio::select! {
        biased;
        next = receiver.recv() => next,
        () = shutdown.cancelled() => {
            receiver.close();
            receiver.recv().await
        }
    }
}
