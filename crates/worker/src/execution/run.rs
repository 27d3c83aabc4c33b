//! Runs the operation of one task until it returns or must stop.

use std::sync::Arc;
use std::time::Duration;

use domain::{ExecutionIsolation, RawJson};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::execution::counted_polls::PollCounter;
use crate::execution::operation_threads::{OperationReturn, OperationThreads, StartedOperation};
use crate::execution::run_outcome::{RunOutcome, StopReceipt};
use crate::registry::operations::RegisteredOperation;
use crate::sdk::context::Context;

/// How long an operation of the worker's own process may take to reach its next await after it was stopped.
pub(crate) const ABORT_TIMEOUT: Duration = Duration::from_secs(1);

/// How long after its grace the supervisor of an operation may take to say that no process is left.
const SUPERVISOR_TIMEOUT: Duration = Duration::from_secs(40);

/// An operation and the task that it is to run for.
pub(crate) struct Run<'a> {
    pub(crate) operation: &'a RegisteredOperation,
    pub(crate) parameters: Option<RawJson>,
    pub(crate) context: Context,
    /// Counts the polls of an operation of the level `async`.
    pub(crate) polls: Arc<PollCounter>,
    /// Cancelled when the task is to be released.
    pub(crate) release: &'a CancellationToken,
}

/// A run that is over for its task.
pub(crate) struct EndedRun {
    pub(crate) outcome: RunOutcome,
    /// The operation, if it was stopped and has not ended: it blocks its thread.
    pub(crate) blocked: Option<StartedOperation>,
}

impl Run<'_> {
    /// Runs the operation and stops it at its deadline, or when the context or `release`
    /// says so.
    pub(crate) async fn until_ended(self, threads: &OperationThreads) -> EndedRun {
        let Self { operation, parameters, context, polls, release } = self;
        let (deadline, stop) = (context.deadline(), context.stop_token());
        let future = operation.start(parameters, context).in_current_span();
        let mut started = match operation.isolation() {
            ExecutionIsolation::Async => threads.spawn(future, polls),
            ExecutionIsolation::Process | ExecutionIsolation::Exec | ExecutionIsolation::Http => {
                threads.spawn_waiting(future)
            }
        };
        let outcome = tokio::select! {
            biased;
            returned = started.ended() => return EndedRun::of(outcome_of_return(returned, deadline)),
            () = stop.cancelled() => RunOutcome::Stopped(StopReceipt::Confirmed),
            () = deadline.passed() => RunOutcome::DeadlineExceeded(StopReceipt::Confirmed),
            () = release.cancelled() => RunOutcome::Released,
        };
        stop.cancel();
        if operation.is_supervised() {
            return EndedRun::of(stop_supervised(started, outcome, operation.grace(), deadline).await);
        }
        stop_here(started, outcome, deadline).await
    }
}

impl EndedRun {
    const fn of(outcome: RunOutcome) -> Self {
        Self { outcome, blocked: None }
    }
}

/// Drops the future of an operation at its next await. One that does not reach it in time is left behind.
async fn stop_here(mut started: StartedOperation, outcome: RunOutcome, deadline: Deadline) -> EndedRun {
    started.abort();
    match (timeout(ABORT_TIMEOUT, started.ended()).await, outcome) {
        // The operation returned while it was being stopped.
        (Ok(returned @ Some(_)), RunOutcome::Released) => EndedRun::of(outcome_of_return(returned, deadline)),
        (Ok(_), outcome) => EndedRun::of(outcome),
        (Err(_), outcome) => {
            EndedRun { outcome: outcome.with_receipt(StopReceipt::Unconfirmed), blocked: Some(started) }
        }
    }
}

/// Waits until the processes of an operation that must stop have ended: it returns then.
async fn stop_supervised(
    mut started: StartedOperation,
    outcome: RunOutcome,
    grace: Duration,
    deadline: Deadline,
) -> RunOutcome {
    let Ok(returned) = timeout(grace + SUPERVISOR_TIMEOUT, started.ended()).await else {
        started.abort();
        return outcome.with_receipt(StopReceipt::Unconfirmed);
    };
    match (returned, outcome) {
        // The operation returned while it was being stopped.
        (returned @ Some(Ok(_)), RunOutcome::Released) => outcome_of_return(returned, deadline),
        (returned, outcome) => match StopReceipt::of(returned.as_ref()) {
            StopReceipt::Confirmed => outcome,
            StopReceipt::Unconfirmed => outcome.with_receipt(StopReceipt::Unconfirmed),
        },
    }
}

/// The outcome of an operation that has returned, unless its deadline has passed: then the Backend ends the task.
fn outcome_of_return(returned: Option<OperationReturn>, deadline: Deadline) -> RunOutcome {
    if deadline.remaining(SuspendAwareInstant::now()).is_zero() {
        return RunOutcome::DeadlineExceeded(StopReceipt::of(returned.as_ref()));
    }
    match returned {
        Some(Ok(result)) => RunOutcome::Result(result),
        Some(Err(failure)) => RunOutcome::Failed(failure),
        // Nothing but a stop drops an operation, or the end of the whole worker.
        None => RunOutcome::Stopped(StopReceipt::Confirmed),
    }
}
