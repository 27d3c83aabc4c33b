//! Executes one task, from its grant to its report: runs the operation, stops it in time, and reports the outcome.

use std::sync::Arc;

use domain::{
    AttemptOutcome, ExecutionIsolation, Grant, GrantRef, Report, RetryHint, TraceContext, WorkerName,
};
use telemetry::{Span, SpanKind};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::field::Empty;
use tracing::{Instrument, info_span, warn};

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::execution::operation_threads::{OperationThreads, StartedOperation};
use crate::execution::run::{EndedRun, Run};
use crate::execution::run_outcome::{RunOutcome, StopReceipt};
use crate::execution::running_tasks::{RunningGuard, RunningTasks};
use crate::execution::stopped_work::StoppedWork;
use crate::metrics::{RunMetrics, count_unconfirmed_stop, record_stop_lateness};
use crate::registry::active_operations::ActiveOperations;
use crate::registry::operations::RegisteredOperation;
use crate::reporting::progress_reporter::ProgressQueue;
use crate::reporting::report_queue::{PendingReport, ReportQueue};
use crate::sdk::context::Context;

/// Executes granted tasks.
pub(crate) struct TaskExecutor {
    pub(crate) worker: WorkerName,
    pub(crate) operations: ActiveOperations,
    /// Where operations of the level `async` run.
    pub(crate) threads: Arc<OperationThreads>,
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

impl TaskExecutor {
    /// Executes a granted task and reports its outcome, if that outcome is one to report.
    pub(crate) async fn execute(&self, grant: Grant, deadline: Deadline, trace: Option<TraceContext>) {
        let Some(operation) = self.operations.find(&grant.type_name) else {
            self.release(&grant, deadline);
            return;
        };
        let grant_ref = GrantRef { id: grant.id, attempt: grant.attempt };
        let Some(running) = self.running.enter(grant_ref, &grant.type_name) else { return };
        let span = trace.map(|trace| start_span(&grant, trace));
        let trace = span.as_ref().and_then(Span::trace_context);
        let log_span = self.log_span(&grant, trace);
        let metrics = RunMetrics::start(&grant.type_name);
        let run = self.run(&operation, &grant, deadline, &running, trace);
        let EndedRun { outcome, blocked } = run.instrument(log_span.clone()).await;
        let outcome = outcome.limit_size();
        metrics.finish(outcome.label());
        finish_span(span, &outcome);
        if blocked.is_some()
            && let Some(poll) = running.polls.current()
        {
            self.threads.replace_blocked(grant.id, &grant.type_name, &running.polls, poll);
        }
        drop(running);
        log_span.in_scope(|| outcome.log(grant.id));
        let retry = outcome.retry_hint();
        let stop = StopRecord {
            grant: grant_ref,
            isolation: operation.isolation(),
            deadline: matches!(outcome, RunOutcome::DeadlineExceeded(_)).then_some(deadline),
            stopped: self.stopped.clone(),
        };
        match outcome.receipt() {
            Some(StopReceipt::Confirmed) => stop.confirm(),
            Some(StopReceipt::Unconfirmed) => stop.warn(blocked),
            None => {}
        }
        if let Some(reported) = outcome.into_report() {
            self.report(&grant, reported, retry, deadline, trace);
        }
    }

    async fn run(
        &self,
        operation: &RegisteredOperation,
        grant: &Grant,
        deadline: Deadline,
        running: &RunningGuard,
        trace: Option<TraceContext>,
    ) -> EndedRun {
        let context = Context::new(grant, deadline, running.stop.clone(), trace, self.progress.clone());
        let (parameters, polls) = (grant.parameters.clone(), Arc::clone(&running.polls));
        let run = Run { operation, parameters, context, polls, release: &self.release };
        run.until_ended(&self.threads).await
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
}

/// What is to be recorded of the stop of an attempt that ended without a report.
struct StopRecord {
    grant: GrantRef,
    isolation: ExecutionIsolation,
    /// The deadline, if it was what stopped the attempt.
    deadline: Option<Deadline>,
    stopped: StoppedWork,
}

impl StopRecord {
    /// Says that the work has stopped.
    fn confirm(self) {
        self.stopped.add(self.grant);
        if let Some(deadline) = self.deadline {
            record_stop_lateness(self.isolation, deadline.overdue(SuspendAwareInstant::now()));
        }
    }

    /// Logs that the work may go on: the task does not show that it has stopped. Once a `blocked` operation returns, it does.
    fn warn(self, blocked: Option<StartedOperation>) {
        let id = self.grant.id;
        count_unconfirmed_stop(self.isolation);
        match blocked {
            None => warn!(task.id = %id, "processes of task {id} may still run: they could not be killed"),
            Some(mut blocked) => {
                warn!(task.id = %id, "the code of task {id} runs on: it blocks its thread");
                // No stop of the worker waits for it.
                TaskTracker::new().spawn(async move {
                    // It was aborted, so what it returns does not matter.
                    let _ = blocked.ended().await;
                    self.confirm();
                });
            }
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
