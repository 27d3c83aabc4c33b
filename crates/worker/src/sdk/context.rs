//! The context of a running operation: its task, its remaining time, and whether it must stop.

use std::time::Duration;

use domain::{Attempt, ClaimId, Grant, ProgressReport, TaskId, TraceContext};
use tokio_util::sync::CancellationToken;

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::reporting::progress_reporter::ProgressQueue;

/// The task that an operation runs for. Clone it for the threads and async tasks that the operation starts.
#[derive(Debug, Clone)]
pub struct Context {
    task: TaskId,
    attempt: Attempt,
    deadline: Deadline,
    stop: CancellationToken,
    trace: Option<TraceContext>,
    claim: ClaimId,
    progress: ProgressQueue,
}

impl Context {
    /// The context of a granted task. `trace` is the span of this run; what it reports of its progress goes to `progress`.
    pub(crate) fn new(
        grant: &Grant,
        deadline: Deadline,
        stop: CancellationToken,
        trace: Option<TraceContext>,
        progress: ProgressQueue,
    ) -> Self {
        Self { task: grant.id, attempt: grant.attempt, deadline, stop, trace, claim: grant.claim, progress }
    }

    /// The id of the task.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The number of this grant of the task: 1 for the first.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The deadline of the task.
    pub(crate) const fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// The token that is cancelled when this run must stop.
    pub(crate) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// The span of this run, to be sent as the header `traceparent` (W3C Trace Context) of requests that the operation
    /// makes. `None`: the task is not traced.
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Reports how much of the work is done, in percent, and what the operation is doing, which may be empty. The task shows the last
    /// report; the worker sends one each second at most, so an operation may call this as often as it likes. A percentage above 100
    /// counts as 100. Of the message 255 characters are sent, with spaces for control characters.
    pub fn progress(&self, percent: u32, message: &str) {
        if !self.is_stopped() {
            self.progress.add(ProgressReport {
                id: self.task,
                attempt: self.attempt,
                claim: self.claim,
                percent: percent.min(100),
                message: ProgressReport::message(message),
            });
        }
    }

    /// The time left until the deadline of the task; zero after it.
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining(SuspendAwareInstant::now())
    }

    /// Whether this run must stop: its deadline has passed, its task was cancelled, or the worker stops.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled() || self.remaining().is_zero()
    }

    /// Waits until this run must stop: at its deadline, at a cancellation, or at the stop of the worker, which releases the task.
    /// The operation's own future is dropped then; await this in other async tasks that the operation has started.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}
