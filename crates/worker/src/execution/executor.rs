//! Executes one task, from its grant to its report: runs the operation, stops it in time, and reports the outcome.

use std::sync::Arc;
use std::time::Duration;

use domain::limits::{MAX_SENT_RESULT_BYTES, result_too_large, truncate_error};
use domain::{AttemptOutcome, Grant, GrantRef, RawJson, Report, RetryHint, TaskId, TraceContext, WorkerName};
use telemetry::{Span, SpanKind};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::field::Empty;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::execution::running_tasks::RunningTasks;
use crate::execution::stopped_work::StoppedWork;
use crate::metrics::{RunMetrics, count_unconfirmed_stop, record_stop_lateness};
use crate::registry::operations::{Operations, RegisteredOperation};
use crate::reporting::progress_reporter::ProgressQueue;
use crate::reporting::report_queue::{PendingReport, ReportQueue};
use crate::sdk::context::Context;
use crate::sdk::operation::Failure;

/// Executes granted tasks.
pub(crate) struct TaskExecutor {
    pub(crate) worker: WorkerName,
    pub(crate) operations: Arc<Operations>,
    pub(crate) running: RunningTasks,
    /// Where grants are added whose work has stopped without a report.
    pub(crate) stopped: StoppedWork,
    /// The queue of the reporter.
    pub(crate) reports: ReportQueue,
    /// What operations report of their progress.
    pub(crate) progress: ProgressQueue,
    /// Tracks everything that executes a task.
    pub(crate) tracker: TaskTracker,
    /// Cancelled when the drain of a stopping worker is over: tasks that are still running are released.
    pub(crate) release: CancellationToken,
}

/// How the run of an operation ended.
enum RunOutcome {
    /// The operation returned this.
    Result(RawJson),
    /// The operation failed or panicked, or returned a result that is too large.
    Failed(Failure),
    /// The deadline passed first.
    DeadlineExceeded(StopReceipt),
    /// A heartbeat's response said that the task has ended or belongs to another grant.
    Stopped(StopReceipt),
    /// The worker stops, and the operation has not ended within the drain.
    Released,
}

/// Whether the work of an attempt that ended without a report has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StopReceipt {
    /// It has.
    Confirmed,
    /// Some process could not be killed in time, or its supervisor did not answer.
    Unconfirmed,
}

impl StopReceipt {
    /// What an operation that has returned says of its processes.
    fn of(done: &Result<Result<RawJson, Failure>, JoinError>) -> Self {
        match done {
            Ok(Err(failure)) if failure.is_stop_unconfirmed() => Self::Unconfirmed,
            _ => Self::Confirmed,
        }
    }
}

/// How long after its grace the supervisor of an operation may take to say that no process is left.
const SUPERVISOR_TIMEOUT: Duration = Duration::from_secs(40);

impl TaskExecutor {
    /// Executes a granted task and reports its outcome, if that outcome is one to report.
    pub(crate) async fn execute(&self, grant: Grant, deadline: Deadline, trace: Option<TraceContext>) {
        let Some(running) = self.running.enter(GrantRef { id: grant.id, attempt: grant.attempt }) else {
            return;
        };
        let span = trace.map(|trace| start_span(&grant, trace));
        let trace = span.as_ref().and_then(Span::trace_context);
        let log_span = self.log_span(&grant, trace);
        let metrics = RunMetrics::start(&grant.type_name);
        let outcome =
            self.run(&grant, deadline, &running.stop, trace).instrument(log_span.clone()).await.limit_size();
        metrics.finish(outcome.label());
        finish_span(span, &outcome);
        drop(running);
        log_span.in_scope(|| outcome.log(grant.id));
        let retry = outcome.retry_hint();
        self.record_stop(&grant, &outcome, deadline);
        if let Some(reported) = outcome.into_report() {
            self.report(&grant, reported, retry, deadline, trace);
        }
    }

    /// Says that the work of an attempt without a report has stopped, or logs that this is not known: then the task does not show it.
    fn record_stop(&self, grant: &Grant, outcome: &RunOutcome, deadline: Deadline) {
        let receipt = match outcome {
            RunOutcome::DeadlineExceeded(receipt) | RunOutcome::Stopped(receipt) => *receipt,
            RunOutcome::Failed(failure) if failure.is_stop_unconfirmed() => StopReceipt::Unconfirmed,
            RunOutcome::Failed(_) | RunOutcome::Result(_) | RunOutcome::Released => return,
        };
        let isolation = self
            .operations
            .find(&grant.type_name)
            .map_or_else(Default::default, RegisteredOperation::isolation);
        match receipt {
            StopReceipt::Confirmed => self.stopped.add(GrantRef { id: grant.id, attempt: grant.attempt }),
            StopReceipt::Unconfirmed => {
                count_unconfirmed_stop(isolation);
                warn!(task.id = %grant.id, "processes of task {} may still run: they could not be killed", grant.id);
            }
        }
        if matches!(outcome, RunOutcome::DeadlineExceeded(_)) {
            record_stop_lateness(isolation, deadline.overdue(SuspendAwareInstant::now()));
        }
    }

    /// Releases a granted task that this worker cannot run: other workers may claim it.
    pub(crate) fn release(&self, grant: &Grant, deadline: Deadline) {
        self.report(grant, AttemptOutcome::Released, None, deadline, grant.trace);
    }

    fn report(
        &self,
        grant: &Grant,
        reported: AttemptOutcome,
        retry: Option<RetryHint>,
        deadline: Deadline,
        trace: Option<TraceContext>,
    ) {
        let Grant { id, attempt, claim, .. } = *grant;
        let report =
            Report { id, type_name: grant.type_name.clone(), attempt, claim, reported, retry, trace };
        self.reports.add(PendingReport::new(report, deadline));
    }

    /// The span with the fields that every log line about this run carries.
    fn log_span(&self, grant: &Grant, trace: Option<TraceContext>) -> tracing::Span {
        let span = info_span!("task", task.id = %grant.id, task.type = %grant.type_name, task.attempt = grant.attempt, worker.name = %self.worker, trace.id = Empty);
        if let Some(trace) = trace {
            span.record("trace.id", trace.id().to_string());
        }
        span
    }

    /// Runs the operation in a task of its own, so that a panic is caught, and aborts that task when it must stop.
    async fn run(
        &self,
        grant: &Grant,
        deadline: Deadline,
        stop: &CancellationToken,
        trace: Option<TraceContext>,
    ) -> RunOutcome {
        let Some(operation) = self.operations.find(&grant.type_name) else {
            return RunOutcome::Failed(Failure::new(format!(
                "this worker has no operation {}",
                grant.type_name
            )));
        };
        let context = Context::new(grant, deadline, stop.clone(), trace, self.progress.clone());
        let future = operation.start(grant.parameters.clone(), context);
        let mut task = self.tracker.spawn(future.in_current_span());
        let outcome = tokio::select! {
            biased;
            done = &mut task => return outcome_of_return(done, deadline),
            () = stop.cancelled() => RunOutcome::Stopped(StopReceipt::Confirmed),
            () = deadline.passed() => RunOutcome::DeadlineExceeded(StopReceipt::Confirmed),
            () = self.release.cancelled() => RunOutcome::Released,
        };
        stop.cancel();
        if operation.is_supervised() {
            return stop_supervised(task, outcome, operation.grace(), deadline).await;
        }
        task.abort();
        match (task.await, outcome) {
            // The operation returned while it was being stopped.
            (done @ Ok(_), RunOutcome::Released) => outcome_of_return(done, deadline),
            (_, outcome) => outcome,
        }
    }
}

/// Waits until the processes of an operation that must stop have ended: it returns then.
async fn stop_supervised(
    mut task: JoinHandle<Result<RawJson, Failure>>,
    outcome: RunOutcome,
    grace: Duration,
    deadline: Deadline,
) -> RunOutcome {
    let Ok(done) = timeout(grace + SUPERVISOR_TIMEOUT, &mut task).await else {
        task.abort();
        return outcome.with_receipt(StopReceipt::Unconfirmed);
    };
    match (done, outcome) {
        // The operation returned while it was being stopped.
        (done @ Ok(Ok(_)), RunOutcome::Released) => outcome_of_return(done, deadline),
        (done, outcome) => match StopReceipt::of(&done) {
            StopReceipt::Confirmed => outcome,
            StopReceipt::Unconfirmed => outcome.with_receipt(StopReceipt::Unconfirmed),
        },
    }
}

/// The outcome of an operation that has returned, unless its deadline has passed: then the Backend ends the task.
fn outcome_of_return(done: Result<Result<RawJson, Failure>, JoinError>, deadline: Deadline) -> RunOutcome {
    if deadline.remaining(SuspendAwareInstant::now()).is_zero() {
        return RunOutcome::DeadlineExceeded(StopReceipt::of(&done));
    }
    match done {
        Ok(Ok(result)) => RunOutcome::Result(result),
        Ok(Err(failure)) => RunOutcome::Failed(failure),
        Err(error) => RunOutcome::Failed(Failure::of_join_error(error)),
    }
}

impl RunOutcome {
    /// The same outcome, of work of which this is known.
    fn with_receipt(self, receipt: StopReceipt) -> Self {
        match self {
            Self::DeadlineExceeded(_) => Self::DeadlineExceeded(receipt),
            // To release a task would let another worker run it beside what may be left.
            Self::Stopped(_) | Self::Released => Self::Stopped(receipt),
            outcome @ (Self::Result(_) | Self::Failed(_)) => outcome,
        }
    }

    /// Replaces a result that is too large to send by a failure. The Backend has a lower limit of its own; this limit keeps a
    /// request within what any server reads.
    fn limit_size(self) -> Self {
        match self {
            Self::Result(result) if result.text().len() > MAX_SENT_RESULT_BYTES => {
                Self::Failed(Failure::new(result_too_large(result.text().len(), MAX_SENT_RESULT_BYTES)))
            }
            outcome => outcome,
        }
    }

    /// The outcome in metrics and spans.
    const fn label(&self) -> &'static str {
        match self {
            Self::Result(_) => "result",
            Self::Failed(_) => "failed",
            Self::DeadlineExceeded(_) => "out_of_time",
            Self::Stopped(_) => "stopped",
            Self::Released => "released",
        }
    }

    /// Whether the span of the run is one of an error.
    const fn is_error(&self) -> bool {
        !matches!(self, Self::Result(_) | Self::Released)
    }

    fn log(&self, id: TaskId) {
        match self {
            Self::Result(_) => debug!("task {id} has its result"),
            Self::Failed(failure) => warn!(error = %failure, "task {id} failed: {failure}"),
            Self::Released => info!("task {id} is released"),
            Self::DeadlineExceeded(_) => info!("task {id} was stopped at its deadline"),
            Self::Stopped(_) => info!("task {id} was stopped because the Backend said so"),
        }
    }

    /// What the operation says about another attempt.
    fn retry_hint(&self) -> Option<RetryHint> {
        match self {
            Self::Failed(failure) => failure.retry_hint(),
            _ => None,
        }
    }

    /// What is reported to the Backend; `None` where the Backend has ended the task itself or will do so.
    fn into_report(self) -> Option<AttemptOutcome> {
        match self {
            Self::Result(result) => Some(AttemptOutcome::Result(result)),
            Self::Failed(failure) => Some(AttemptOutcome::Error(truncate_error(failure.into()))),
            Self::Released => Some(AttemptOutcome::Released),
            Self::DeadlineExceeded(_) | Self::Stopped(_) => None,
        }
    }
}

/// Starts the span of a run, as a child of `trace`.
fn start_span(grant: &Grant, trace: TraceContext) -> Span {
    let mut span = Span::begin(format!("run {}", grant.type_name), SpanKind::Consumer, Some(trace));
    span.set_text_attribute("tasker.task.id", grant.id);
    span.set_text_attribute("tasker.task.type", &grant.type_name);
    span.set_attribute("tasker.task.attempt", i64::from(grant.attempt));
    span
}

/// Ends the span of a run, if there is one, with the run's outcome.
fn finish_span(span: Option<Span>, outcome: &RunOutcome) {
    if let Some(mut span) = span {
        span.set_attribute("tasker.end", outcome.label());
        if outcome.is_error() {
            span.set_error(outcome.label());
        }
    }
}
