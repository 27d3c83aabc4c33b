//! The context of a running operation: its task, its remaining time, and whether it must stop.

use std::time::Duration;

use domain::{Attempt, Grant, TaskId, TraceContext};
use tokio_util::sync::CancellationToken;

use crate::deadline::{Deadline, SuspendAwareInstant};

/// The task that an operation runs for. Clone it for the threads and async tasks that the operation starts.
#[derive(Debug, Clone)]
pub struct Context {
    task: TaskId,
    attempt: Attempt,
    deadline: Deadline,
    stop: CancellationToken,
    trace: Option<TraceContext>,
}

impl Context {
    /// The context of a granted task. `trace` is the span of this run.
    pub(crate) fn new(
        grant: &Grant,
        deadline: Deadline,
        stop: CancellationToken,
        trace: Option<TraceContext>,
    ) -> Self {
        Self { task: grant.id, attempt: grant.attempt, deadline, stop, trace }
    }

    /// The id of the task.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// The number of this grant of the task: 1 for the first.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The span of this run, to be sent as the header `traceparent` (W3C Trace Context) of requests that the operation
    /// makes. `None`: the task is not traced.
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
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
