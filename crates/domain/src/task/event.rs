//! The events that may change the state of a task.

use crate::id::ClaimId;
use crate::name::WorkerName;
use crate::task::retry_policy::RetryHint;

/// An event that may change the state of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker claims the task.
    Claimed {
        /// The id of the claim request.
        claim: ClaimId,
        /// The worker that claims.
        worker: WorkerName,
    },
    /// A worker reports a result.
    Succeeded {
        /// The claim id in the report: only that of the current grant has an effect.
        claim: ClaimId,
    },
    /// A worker reports a failure.
    Failed {
        /// The claim id in the report: only that of the current grant has an effect.
        claim: ClaimId,
        /// What the operation says about another attempt.
        hint: Option<RetryHint>,
    },
    /// A stopping worker releases the task.
    Released {
        /// The claim id in the report: only that of the current grant has an effect.
        claim: ClaimId,
    },
    /// All tasks that it waits for have finished, and with their results its parameters are valid.
    DependenciesFinished,
    /// A task that it waits for has ended without a result, or the results make no valid parameters.
    DependencyFailed,
    /// The promotion of delayed tasks checks the task against the clock.
    Promoted,
    /// The sweep checks the task against the clock.
    Swept,
    /// A worker is lost: it sends no more heartbeats, or was restarted.
    WorkerLost {
        /// The lost worker.
        worker: WorkerName,
    },
    /// The owner cancels the task.
    CancelRequested,
}
