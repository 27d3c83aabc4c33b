//! Sends reports over HTTP: batches what arrives while a request is in flight, and retries until each report is settled,
//! refused, or too late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use client::{Backoff, Client, ClientError};
use domain::{AttemptOutcome, Report, Reports, SettleResult, WorkerName};
use telemetry::error_chain;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::backend_outage_log::{BackendOutageLog, BackendRequestKind};
use crate::deadline::SuspendAwareInstant;
use crate::reporting::report_queue::{PendingReport, ReportQueue, next_report};

/// Reports in one request.
const MAX_BATCH_REPORTS: usize = 100;

/// Results and errors in one request, in bytes: a batch that has reached this size gets no more reports.
const MAX_BATCH_BYTES: usize = 1 << 20;

/// How long after its task's deadline a report is still sent, so that the Backend can log and count it as late.
const RETENTION_AFTER_DEADLINE: Duration = Duration::from_secs(30);

/// The marker at the start of a failure's text that says that the Backend refused the operation's result.
const RESULT_REFUSED: &str = "RESULT_REFUSED";

/// Sends reports to the Backend, one request at a time.
pub(crate) struct HttpReporter {
    client: Client,
    worker: WorkerName,
    outage_log: BackendOutageLog,
    receiver: mpsc::UnboundedReceiver<PendingReport>,
    queue: ReportQueue,
    /// Batches to send again, before anything else.
    retries: VecDeque<Vec<PendingReport>>,
    /// Reports on which the Backend failed (status 500). Each is retried alone after a pause, so that it holds up no other.
    delayed: Vec<DelayedRetry>,
}

/// A report that is sent again at `due`.
struct DelayedRetry {
    pending: PendingReport,
    due: Instant,
}

impl HttpReporter {
    /// A reporter for the reports of `worker`, and the queue from which it takes them.
    pub(crate) fn new(
        client: Client,
        worker: WorkerName,
        outage_log: BackendOutageLog,
    ) -> (Self, ReportQueue) {
        let (queue, receiver) = ReportQueue::new();
        let (retries, delayed) = (VecDeque::new(), Vec::new());
        (Self { client, worker, outage_log, receiver, queue: queue.clone(), retries, delayed }, queue)
    }

    /// Sends until `shutdown` is cancelled and every report that was added by then is settled.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        while let Some(batch) = self.next_batch(&shutdown).await {
            let mut batch = self.drop_expired(batch);
            if batch.is_empty() {
                continue;
            }
            let reports = batch.iter().map(|pending| pending.report.clone()).collect();
            let reports = Reports { worker: self.worker.clone(), reports };
            match self.client.report(&reports).await {
                Ok(results) => {
                    backoff.reset();
                    self.outage_log.record_success(BackendRequestKind::Report);
                    self.settled(&batch, &results);
                }
                Err(error) if batch.len() > 1 && concerns_one_report(&error) => {
                    // Halve the batch until the report that causes the error is alone.
                    let second_half = batch.split_off(batch.len() / 2);
                    self.retries.push_front(second_half);
                    self.retries.push_front(batch);
                }
                Err(error) if error.is_internal_server_error() => {
                    self.outage_log.record_failure(BackendRequestKind::Report, &error);
                    self.delayed.extend(batch.into_iter().map(DelayedRetry::after_pause));
                    tokio::time::sleep(backoff.pause_after(&error)).await;
                }
                Err(error) if error.is_temporary() || error.is_caller_refused() => {
                    self.outage_log.record_failure(BackendRequestKind::Report, &error);
                    self.retries.push_front(batch);
                    tokio::time::sleep(backoff.pause_after(&error)).await;
                }
                Err(error) => self.refused(batch, &error),
            }
        }
    }

    /// The next batch to send: a failed batch, else a delayed report that is due or the reports that have arrived. `None`
    /// after shutdown, when nothing is left.
    async fn next_batch(&mut self, shutdown: &CancellationToken) -> Option<Vec<PendingReport>> {
        if let Some(batch) = self.retries.pop_front() {
            return Some(batch);
        }
        loop {
            let earliest = (0..self.delayed.len()).min_by_key(|&index| self.delayed[index].due);
            let due = earliest.map_or_else(Instant::now, |index| self.delayed[index].due);
            let is_drained = self.receiver.is_closed() && self.receiver.is_empty();
            // Unbiased: each branch must be polled in turn.
            tokio::select! {
                () = tokio::time::sleep_until(due.into()), if earliest.is_some() => {
                    return earliest.map(|index| vec![self.delayed.swap_remove(index).pending]);
                }
                first = next_report(&mut self.receiver, shutdown), if !is_drained => {
                    if let Some(first) = first {
                        return Some(self.fill_batch(first));
                    }
                }
                else => return None,
            }
        }
    }

    /// A batch of `first` and the reports that have arrived since.
    fn fill_batch(&mut self, first: PendingReport) -> Vec<PendingReport> {
        let mut bytes = first.payload_bytes();
        let mut batch = vec![first];
        while batch.len() < MAX_BATCH_REPORTS && bytes < MAX_BATCH_BYTES {
            let Ok(next) = self.receiver.try_recv() else { break };
            bytes += next.payload_bytes();
            batch.push(next);
        }
        batch
    }

    /// The batch without the reports that are too late to be sent.
    fn drop_expired(&self, batch: Vec<PendingReport>) -> Vec<PendingReport> {
        let now = SuspendAwareInstant::now();
        let (expired, batch): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|pending| pending.deadline.overdue(now) > RETENTION_AFTER_DEADLINE);
        for pending in &expired {
            let id = pending.report.id;
            pending.log_span(&self.worker).in_scope(|| {
                warn!(
                    "the report of task {id} is given up: its deadline passed before the Backend could be reached"
                );
            });
        }
        self.queue.decrement_unsettled(expired.len());
        batch
    }

    /// Logs how the Backend settled each report of a batch, and stops counting them.
    fn settled(&self, batch: &[PendingReport], results: &[SettleResult]) {
        if batch.len() != results.len() {
            error!("the Backend settled {} of {} reports", results.len(), batch.len());
        }
        for (pending, result) in batch.iter().zip(results) {
            log_settled(pending, result, &self.worker);
        }
        self.queue.decrement_unsettled(batch.len());
    }

    /// Handles a final refusal. A refused result is reported again as a failure; any other refused report is given up.
    fn refused(&mut self, batch: Vec<PendingReport>, refusal: &ClientError) {
        for pending in batch {
            let _span = pending.log_span(&self.worker).entered();
            let PendingReport { report, deadline, server_error_backoff } = pending;
            let (id, cause) = (report.id, error_chain(refusal));
            if matches!(report.reported, AttemptOutcome::Result(_)) {
                warn!(error = cause, "the result of task {id} was refused: {cause}");
                let reported = AttemptOutcome::Error(format!("{RESULT_REFUSED}: {cause}"));
                let report = Report { reported, ..report };
                self.retries.push_front(vec![PendingReport { report, deadline, server_error_backoff }]);
            } else {
                error!(error = cause, "the report of task {id} was refused: {cause}");
                self.queue.decrement_unsettled(1);
            }
        }
    }
}

impl DelayedRetry {
    fn after_pause(mut pending: PendingReport) -> Self {
        let due = Instant::now() + pending.server_error_backoff.next_pause();
        Self { pending, due }
    }
}

/// Whether the error concerns one report of the batch, rather than a temporary failure or our credentials.
fn concerns_one_report(error: &ClientError) -> bool {
    error.is_internal_server_error() || !(error.is_temporary() || error.is_caller_refused())
}

/// Logs how a report was settled: the expected results at `debug`, reports without effect at `info` or `warn`.
fn log_settled(pending: &PendingReport, result: &SettleResult, worker: &WorkerName) {
    let id = pending.report.id;
    match result {
        SettleResult::Finished => debug!(task.id = %id, "task {id} finished"),
        SettleResult::Released => debug!(task.id = %id, "task {id} is ready for another worker"),
        SettleResult::Retried { reason, ready_date } => {
            debug!(task.id = %id, task.reason = %reason, "task {id} is tried again at {ready_date}: {reason}");
        }
        SettleResult::Cancelled { reason } => {
            debug!(task.id = %id, task.reason = %reason, "task {id} is cancelled: {reason}");
        }
        SettleResult::Late { late_by_ms } => {
            let _span = pending.log_span(worker).entered();
            warn!(late.ms = late_by_ms, "the report of task {id} was {late_by_ms} ms late and refused");
        }
        SettleResult::Stale => {
            let _span = pending.log_span(worker).entered();
            info!("the report of task {id} was refused: its grant is no longer the current one");
        }
        SettleResult::Unknown => {
            let _span = pending.log_span(worker).entered();
            warn!("the report of task {id} was refused: there is no such task");
        }
        SettleResult::Invalid { detail } => {
            let _span = pending.log_span(worker).entered();
            error!("the report of task {id} was refused: the Backend cannot read it: {detail}");
        }
    }
}
