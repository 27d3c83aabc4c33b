//! How the run of an operation ended, and what is reported of it.

use domain::limits::{MAX_SENT_RESULT_BYTES, result_too_large, truncate_error};
use domain::{AttemptOutcome, RawJson, RetryHint, TaskId};
use tracing::{debug, info, warn};

use crate::execution::operation_threads::OperationReturn;
use crate::sdk::operation::Failure;

/// How the run of an operation ended.
pub(crate) enum RunOutcome {
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
pub(crate) enum StopReceipt {
    /// It has.
    Confirmed,
    /// A process could not be killed in time, its supervisor did not answer, or code blocks its thread.
    Unconfirmed,
}

impl StopReceipt {
    /// What an operation that has returned says of its processes.
    pub(crate) fn of(returned: Option<&OperationReturn>) -> Self {
        match returned {
            Some(Err(failure)) if failure.is_stop_unconfirmed() => Self::Unconfirmed,
            _ => Self::Confirmed,
        }
    }
}

impl RunOutcome {
    /// The same outcome, of work of which this is known.
    pub(crate) fn with_receipt(self, receipt: StopReceipt) -> Self {
        match self {
            Self::DeadlineExceeded(_) => Self::DeadlineExceeded(receipt),
            // To release a task would let another worker run it beside what may be left.
            Self::Stopped(_) | Self::Released => Self::Stopped(receipt),
            outcome @ (Self::Result(_) | Self::Failed(_)) => outcome,
        }
    }

    /// Replaces a result that is too large to send by a failure. The Backend has a lower limit of its own; this limit keeps a
    /// request within what any server reads.
    pub(crate) fn limit_size(self) -> Self {
        match self {
            Self::Result(result) if result.text().len() > MAX_SENT_RESULT_BYTES => {
                Self::Failed(Failure::new(result_too_large(result.text().len(), MAX_SENT_RESULT_BYTES)))
            }
            outcome => outcome,
        }
    }

    /// What is known of the work of an attempt that was stopped, or whose processes could not be killed; `None` if that is reported.
    pub(crate) const fn receipt(&self) -> Option<StopReceipt> {
        match self {
            Self::DeadlineExceeded(receipt) | Self::Stopped(receipt) => Some(*receipt),
            Self::Failed(failure) if failure.is_stop_unconfirmed() => Some(StopReceipt::Unconfirmed),
            Self::Failed(_) | Self::Result(_) | Self::Released => None,
        }
    }

    /// The outcome in metrics and spans.
    pub(crate) const fn label(&self) -> &'static str {
        match self {
            Self::Result(_) => "result",
            Self::Failed(_) => "failed",
            Self::DeadlineExceeded(_) => "out_of_time",
            Self::Stopped(_) => "stopped",
            Self::Released => "released",
        }
    }

    /// Whether the span of the run is one of an error.
    pub(crate) const fn is_error(&self) -> bool {
        !matches!(self, Self::Result(_) | Self::Released)
    }

    pub(crate) fn log(&self, id: TaskId) {
        match self {
            Self::Result(_) => debug!("task {id} has its result"),
            Self::Failed(failure) => warn!(error = %failure, "task {id} failed: {failure}"),
            Self::Released => info!("task {id} is released"),
            Self::DeadlineExceeded(_) => info!("task {id} was stopped at its deadline"),
            Self::Stopped(_) => info!("task {id} was stopped because the Backend said so"),
        }
    }

    /// What the operation says about another attempt.
    pub(crate) fn retry_hint(&self) -> Option<RetryHint> {
        match self {
            Self::Failed(failure) => failure.retry_hint(),
            _ => None,
        }
    }

    /// What is reported to the Backend; `None` where the Backend has ended the task itself or will do so.
    pub(crate) fn into_report(self) -> Option<AttemptOutcome> {
        match self {
            Self::Result(result) => Some(AttemptOutcome::Result(result)),
            Self::Failed(failure) => Some(AttemptOutcome::Error(truncate_error(failure.into()))),
            Self::Released => Some(AttemptOutcome::Released),
            Self::DeadlineExceeded(_) | Self::Stopped(_) => None,
        }
    }
}
