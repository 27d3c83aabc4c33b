//! One grant from its start to its report: run, stop in time, say what became of it.

use std::sync::Arc;

use domain::{Grant, GrantRef, RawJson, Report, ReportOutcome, TraceContext, WorkerName};
use telemetry::{Span as Step, SpanKind};
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::field::Empty;
use tracing::{Instrument, debug, info, info_span, warn};

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::execution::running_tasks::Running;
use crate::metrics::Run;
use crate::reporting::http_reporter::{PendingReport, Reports};
use crate::sdk::context::Context;
use crate::sdk::operation::Failure;
use crate::sdk::registry::Operations;

/// The longest result that is sent, in bytes. The Backend's own limit is lower as a rule, and it says so; this one keeps
/// a request within what any server reads.
const LONGEST_RESULT: usize = 8 << 20;

/// How a failure begins whose result is longer.
const RESULT_TOO_LARGE: &str = "RESULT_TOO_LARGE";

/// An error is a sentence: no more of it is sent than this, in bytes.
const LONGEST_ERROR: usize = 16 << 10;

/// What every grant needs to be attended to.
pub(crate) struct TaskExecutor {
    pub(crate) worker: WorkerName,
    pub(crate) operations: Arc<Operations>,
    pub(crate) running: Running,
    pub(crate) reports: Reports,
    pub(crate) tracker: TaskTracker,
    /// The worker waits no longer: what still runs is handed back.
    pub(crate) release: CancellationToken,
}

/// How the work on a grant ended.
enum End {
    Result(RawJson),
    Failed(Failure),
    /// The deadline came first.
    DeadlineExceeded,
    /// The Backend said so.
    Stopped,
    /// The worker stops.
    Released,
}

impl End {
    /// What the figures call it.
    const fn word(&self) -> &'static str {
        match self {
            Self::Result(_) => "result",
            Self::Failed(_) => "failed",
            Self::DeadlineExceeded => "out_of_time",
            Self::Stopped => "stopped",
            Self::Released => "released",
        }
    }
}

impl TaskExecutor {
    /// Runs what was granted, and reports it if there is anything to report.
    pub(crate) async fn attend(&self, grant: Grant, deadline: Deadline, trace: Option<TraceContext>) {
        let Some(entry) = self.running.enter(GrantRef { id: grant.id, attempt: grant.attempt }) else {
            return;
        };
        let mut step = trace.map(|trace| step(&grant, trace));
        let trace = step.as_ref().and_then(Step::trace);
        let report =
            |reported| Report { id: grant.id, attempt: grant.attempt, claim: grant.claim, reported, trace };
        let span = info_span!("task", task.id = %grant.id, task.type = %grant.name, task.attempt = grant.attempt, worker.name = %self.worker, trace.id = Empty);
        if let Some(trace) = trace {
            span.record("trace.id", trace.id().to_string());
        }
        let run = Run::of(&grant.name);
        let end =
            limit_result_size(self.work(&grant, deadline, &entry.stop, trace).instrument(span.clone()).await);
        run.ended(end.word());
        if let Some(step) = &mut step {
            step.note("tasker.end", end.word());
            if !matches!(end, End::Result(_) | End::Released) {
                step.failed(end.word());
            }
        }
        drop(step);
        drop(entry);
        let id = grant.id;
        let reported = span.in_scope(|| match end {
            End::Result(result) => {
                debug!("task {id} has its result");
                Some(ReportOutcome::Result(result))
            }
            End::Failed(failure) => {
                warn!(error = %failure, "task {id} failed: {failure}");
                Some(ReportOutcome::Error(cut(failure.into())))
            }
            End::Released => {
                info!("task {id} is handed back");
                Some(ReportOutcome::Released)
            }
            End::DeadlineExceeded => {
                info!("task {id} was stopped at its deadline");
                None
            }
            End::Stopped => {
                info!("task {id} was stopped because the Backend said so");
                None
            }
        });
        if let Some(reported) = reported {
            self.reports.add(PendingReport::new(report(reported), deadline));
        }
    }

    /// Hands back what was granted and cannot be run here.
    pub(crate) fn release(&self, grant: &Grant, deadline: Deadline) {
        let Grant { id, attempt, claim, trace, .. } = *grant;
        let report = Report { id, attempt, claim, reported: ReportOutcome::Released, trace };
        self.reports.add(PendingReport::new(report, deadline));
    }

    /// The operation runs in a task of its own: a panic is caught there, and dropping its future is the end of it.
    async fn work(
        &self,
        grant: &Grant,
        deadline: Deadline,
        stop: &CancellationToken,
        trace: Option<TraceContext>,
    ) -> End {
        let Some(operation) = self.operations.find(&grant.name) else {
            return End::Failed(Failure::new(format!("this worker has no operation {}", grant.name)));
        };
        let context = Context::new(grant, deadline, stop.clone(), trace);
        let work = operation.start(grant.parameters.clone(), context);
        let mut work = self.tracker.spawn(work.in_current_span());
        let end = tokio::select! {
            biased;
            done = &mut work => return in_time(done, deadline),
            () = stop.cancelled() => End::Stopped,
            () = deadline.passed() => End::DeadlineExceeded,
            () = self.release.cancelled() => End::Released,
        };
        stop.cancel();
        work.abort();
        match (work.await, end) {
            // It ended while it was being stopped.
            (done @ Ok(_), End::Released) => in_time(done, deadline),
            (_, end) => end,
        }
    }
}

/// The step of its task's trace that runs it.
fn step(grant: &Grant, trace: TraceContext) -> Step {
    let mut step = Step::begin(format!("run {}", grant.name), SpanKind::Consumer, Some(trace));
    step.note_text("tasker.task.id", grant.id);
    step.note_text("tasker.task.type", &grant.name);
    step.note("tasker.task.attempt", i64::from(grant.attempt));
    step
}

/// What an operation made, unless its deadline has passed: then the sweep has the word.
fn in_time(done: Result<Result<RawJson, Failure>, JoinError>, deadline: Deadline) -> End {
    if deadline.left(SuspendAwareInstant::now()).is_zero() {
        return End::DeadlineExceeded;
    }
    match done {
        Ok(Ok(result)) => End::Result(result),
        Ok(Err(failure)) => End::Failed(failure),
        Err(error) => End::Failed(panicked(error)),
    }
}

/// A result that is too long to be sent is a failure.
fn limit_result_size(end: End) -> End {
    match end {
        End::Result(result) if result.text().len() > LONGEST_RESULT => {
            let (length, limit) = (result.text().len(), LONGEST_RESULT);
            End::Failed(Failure::new(format!("{RESULT_TOO_LARGE}: {length} bytes, and {limit} are the most")))
        }
        end => end,
    }
}

/// As much of an error as is sent.
fn cut(mut said: String) -> String {
    said.truncate(said.floor_char_boundary(LONGEST_ERROR));
    said
}

fn panicked(error: JoinError) -> Failure {
    let Ok(panic) = error.try_into_panic() else { return Failure::new("the operation was aborted") };
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    match said {
        Some(said) => Failure::new(format!("the operation panicked: {said}")),
        None => Failure::new("the operation panicked"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_ends_between_two_characters() {
        assert_eq!(cut("the kettle is cold".to_owned()), "the kettle is cold");
        let said = cut(format!("a{}", "é".repeat(LONGEST_ERROR)));
        assert_eq!(said.len(), LONGEST_ERROR - 1);
        assert!(said.ends_with('é'));
    }
}
