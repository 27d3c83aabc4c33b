//! The worker's reports: gathered while one request is in flight, kept until they are accepted, refused, or too late.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use client::{Backoff, Client, ClientError};
use domain::{GrantRef, Report, ReportOutcome, SettleResult, WorkerName};
use telemetry::error_chain;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Span, debug, error, info, info_span, warn};

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::metrics;
use crate::outage_log::{Activity, BackendOutageLog};

/// The most reports of one request.
const MOST: usize = 100;

/// A request gathers no more once its results are this long, in bytes.
const LONG: usize = 1 << 20;

/// A report is kept this long after its task's deadline: the Backend may still want to count it as late.
const TOO_LATE: Duration = Duration::from_secs(30);

/// How a failure begins whose result the Backend would not have.
const RESULT_REFUSED: &str = "RESULT_REFUSED";

/// A report and the end of its task's life.
pub(crate) struct PendingReport {
    pub(crate) report: Report,
    deadline: Deadline,
    /// How often the Backend broke over this one.
    broken: Backoff,
}

/// Where reports are put. It never waits: how much may lie here is the asker's concern.
#[derive(Clone)]
pub(crate) struct Reports {
    sender: mpsc::UnboundedSender<PendingReport>,
    unsettled: watch::Sender<usize>,
}

/// Carries reports to the Backend, one request at a time.
pub(crate) struct HttpReporter {
    client: Client,
    worker: WorkerName,
    link: BackendOutageLog,
    receiver: mpsc::UnboundedReceiver<PendingReport>,
    reports: Reports,
    /// What must go again, before anything else.
    again: VecDeque<Vec<PendingReport>>,
    /// Over each of these the Backend broke. They go again alone and one by one, so that none holds up the others.
    doubtful: Vec<DelayedRetry>,
}

/// A report that must wait before it goes again.
struct DelayedRetry {
    pending: PendingReport,
    due: Instant,
}

impl Reports {
    /// A box for reports, and the end where they come out.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<PendingReport>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, unsettled: watch::Sender::new(0) }, receiver)
    }

    /// Another box, whose reports count as unsettled together with those of this one.
    pub(crate) fn linked(&self) -> (Self, mpsc::UnboundedReceiver<PendingReport>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self { sender, unsettled: self.unsettled.clone() }, receiver)
    }

    /// Adds one.
    pub(crate) fn add(&self, pending: PendingReport) {
        self.unsettled.send_modify(|count| *count += 1);
        metrics::unsettled(self.count());
        if self.sender.send(pending).is_err() {
            self.forget(1);
            debug!("a report came after the worker's last");
        }
    }

    /// So many are settled, or no longer ours to see to.
    pub(crate) fn forget(&self, settled: usize) {
        self.unsettled.send_modify(|count| *count -= settled);
        metrics::unsettled(self.count());
    }

    /// Waits until no more than `limit` have not been settled.
    pub(crate) async fn at_most(&self, limit: usize) {
        let mut unsettled = self.unsettled.subscribe();
        let _ = unsettled.wait_for(|count| *count <= limit).await;
    }

    /// How many have not been settled.
    pub(crate) fn count(&self) -> usize {
        *self.unsettled.borrow()
    }
}

impl HttpReporter {
    pub(crate) fn new(client: Client, worker: WorkerName, link: BackendOutageLog) -> (Self, Reports) {
        let (reports, receiver) = Reports::new();
        let (again, doubtful) = (VecDeque::new(), Vec::new());
        (Self { client, worker, link, receiver, reports: reports.clone(), again, doubtful }, reports)
    }

    /// Carries until `last` is cancelled and everything that was put there by then is settled.
    pub(crate) async fn run(mut self, last: CancellationToken) {
        let mut backoff = Backoff::default();
        while let Some(batch) = self.batch(&last).await {
            let mut batch = self.drop_expired(batch);
            if batch.is_empty() {
                continue;
            }
            let reports = domain::Reports {
                worker: self.worker.clone(),
                reports: batch.iter().map(|pending| pending.report.clone()).collect(),
            };
            match self.client.report(&reports).await {
                Ok(settled) => {
                    backoff.reset();
                    self.link.went_through(Activity::Reports);
                    self.settled(&batch, &settled);
                }
                Err(error) if batch.len() > 1 && concerns_one_report(&error) => {
                    // It must not take the others with it.
                    let rest = batch.split_off(batch.len() / 2);
                    self.again.push_front(rest);
                    self.again.push_front(batch);
                }
                Err(error) if error.is_servers_fault() => {
                    self.link.failed(Activity::Reports, &error);
                    self.doubtful.extend(batch.into_iter().map(DelayedRetry::again_later));
                    tokio::time::sleep(backoff.after(&error)).await;
                }
                Err(error) if error.is_temporary() || error.is_about_the_caller() => {
                    self.link.failed(Activity::Reports, &error);
                    self.again.push_front(batch);
                    tokio::time::sleep(backoff.after(&error)).await;
                }
                Err(error) => self.refused(batch, &error),
            }
        }
    }

    /// What goes next: what failed before, else whatever has gathered or is due again.
    async fn batch(&mut self, last: &CancellationToken) -> Option<Vec<PendingReport>> {
        if let Some(batch) = self.again.pop_front() {
            return Some(batch);
        }
        loop {
            let doubtful = (0..self.doubtful.len()).min_by_key(|&place| self.doubtful[place].due);
            let due = doubtful.map_or_else(Instant::now, |place| self.doubtful[place].due);
            let is_last = self.receiver.is_closed() && self.receiver.is_empty();
            // In no order: neither may starve the other.
            tokio::select! {
                () = tokio::time::sleep_until(due.into()), if doubtful.is_some() => {
                    return doubtful.map(|place| vec![self.doubtful.swap_remove(place).pending]);
                }
                first = next(&mut self.receiver, last), if !is_last => {
                    if let Some(first) = first {
                        return Some(self.gather(first));
                    }
                }
                else => return None,
            }
        }
    }

    /// `first` and what has come since.
    fn gather(&mut self, first: PendingReport) -> Vec<PendingReport> {
        let mut length = first.length();
        let mut batch = vec![first];
        while batch.len() < MOST && length < LONG {
            let Ok(next) = self.receiver.try_recv() else { break };
            length += next.length();
            batch.push(next);
        }
        batch
    }

    fn drop_expired(&self, batch: Vec<PendingReport>) -> Vec<PendingReport> {
        let now = SuspendAwareInstant::now();
        let (late, unconfirmed): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|pending| pending.deadline.past(now) > TOO_LATE);
        for pending in &late {
            let id = pending.report.id;
            pending.span(&self.worker).in_scope(|| {
                warn!(
                    "the report of task {id} is given up: its time passed before the Backend could be reached"
                );
            });
        }
        self.reports.forget(late.len());
        unconfirmed
    }

    fn settled(&self, batch: &[PendingReport], settled: &[SettleResult]) {
        if batch.len() != settled.len() {
            error!("the Backend settled {} of {} reports", settled.len(), batch.len());
        }
        for (pending, settled) in batch.iter().zip(settled) {
            say(pending, *settled, &self.worker);
        }
        self.reports.forget(batch.len());
    }

    /// The Backend will never have this one. A result that it will not have is a failure that it will.
    fn refused(&mut self, batch: Vec<PendingReport>, refusal: &ClientError) {
        for pending in batch {
            let _span = pending.span(&self.worker).entered();
            let PendingReport { report, deadline, broken } = pending;
            let (id, why) = (report.id, error_chain(refusal));
            if matches!(report.reported, ReportOutcome::Result(_)) {
                warn!(error = why, "the result of task {id} was refused: {why}");
                let reported = ReportOutcome::Error(format!("{RESULT_REFUSED}: {why}"));
                let report = Report { reported, ..report };
                self.again.push_front(vec![PendingReport { report, deadline, broken }]);
            } else {
                error!(error = why, "the report of task {id} was refused: {why}");
                self.reports.forget(1);
            }
        }
    }
}

impl DelayedRetry {
    fn again_later(mut pending: PendingReport) -> Self {
        let due = Instant::now() + pending.broken.pause();
        Self { pending, due }
    }
}

/// The next report; none once `last` is cancelled and everything that was put there by then has been taken.
pub(crate) async fn next(
    receiver: &mut mpsc::UnboundedReceiver<PendingReport>,
    last: &CancellationToken,
) -> Option<PendingReport> {
    tokio::select! {
        biased;
        next = receiver.recv() => next,
        () = last.cancelled() => {
            receiver.close();
            receiver.recv().await
        }
    }
}

/// Whether it is one report, and not the moment or the caller, that the Backend will not have.
fn concerns_one_report(error: &ClientError) -> bool {
    error.is_servers_fault() || !(error.is_temporary() || error.is_about_the_caller())
}

impl PendingReport {
    pub(crate) fn new(report: Report, deadline: Deadline) -> Self {
        Self { report, deadline, broken: Backoff::default() }
    }

    /// The grant that it speaks of.
    pub(crate) const fn held(&self) -> GrantRef {
        GrantRef { id: self.report.id, attempt: self.report.attempt }
    }

    /// How long its task has to live.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.left(SuspendAwareInstant::now())
    }

    /// What every line about it shows.
    fn span(&self, worker: &WorkerName) -> Span {
        let Report { id, attempt, trace, .. } = self.report;
        let span = info_span!("report", task.id = %id, task.attempt = attempt, worker.name = %worker, trace.id = Empty);
        if let Some(trace) = trace {
            span.record("trace.id", trace.id().to_string());
        }
        span
    }

    /// Its longest part, in bytes.
    pub(crate) fn length(&self) -> usize {
        match &self.report.reported {
            ReportOutcome::Result(result) => result.text().len(),
            ReportOutcome::Error(said) => said.len(),
            ReportOutcome::Released => 0,
        }
    }
}

/// What became of a report: the ordinary quietly, the rest so that it is seen.
fn say(pending: &PendingReport, settled: SettleResult, worker: &WorkerName) {
    let id = pending.report.id;
    match settled {
        SettleResult::Finished => debug!(task.id = %id, "task {id} finished"),
        SettleResult::Released => debug!(task.id = %id, "task {id} is ready for another worker"),
        SettleResult::Cancelled { reason } => {
            debug!(task.id = %id, task.reason = %reason, "task {id} is cancelled: {reason}");
        }
        SettleResult::Late { late_by_ms } => {
            let _span = pending.span(worker).entered();
            warn!(late.ms = late_by_ms, "the report of task {id} was {late_by_ms} ms late and refused");
        }
        SettleResult::Stale => {
            let _span = pending.span(worker).entered();
            info!("the report of task {id} was refused: another grant holds it");
        }
        SettleResult::Unknown => {
            let _span = pending.span(worker).entered();
            warn!("the report of task {id} was refused: there is no such task");
        }
    }
}
