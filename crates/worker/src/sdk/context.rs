//! What a running operation may know of its task: who it is, how long it has, whether it must stop.

use std::time::Duration;

use domain::{Attempt, Grant, TaskId, TraceContext};
use tokio_util::sync::CancellationToken;

use crate::deadline::{Deadline, SuspendAwareInstant};

/// A running task, as its operation sees it. Clones are for the threads and tasks that work for it.
#[derive(Debug, Clone)]
pub struct Context {
    task: TaskId,
    attempt: Attempt,
    deadline: Deadline,
    stop: CancellationToken,
    trace: Option<TraceContext>,
}

impl Context {
    pub(crate) fn new(
        grant: &Grant,
        deadline: Deadline,
        stop: CancellationToken,
        trace: Option<TraceContext>,
    ) -> Self {
        Self { task: grant.id, attempt: grant.attempt, deadline, stop, trace }
    }

    /// Which task.
    pub fn task(&self) -> TaskId {
        self.task
    }

    /// Which grant of it: 1 for the first.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The step of the trace that runs it, if anybody traces: the header `traceparent` of requests that it makes.
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }

    /// How much of its life is left.
    pub fn remaining(&self) -> Duration {
        self.deadline.left(SuspendAwareInstant::now())
    }

    /// Whether what is done for this task from here on is for nobody.
    pub fn is_stopped(&self) -> bool {
        self.stop.is_cancelled() || self.remaining().is_zero()
    }

    /// Waits until the task has ended: by its deadline, a cancellation, or the end of the worker. The operation's own
    /// future is dropped then; this is for what it has set going elsewhere.
    pub async fn stopped(&self) {
        self.stop.cancelled().await;
    }
}
