//! The four statuses of a task, and the seven reasons for a cancellation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

// `$text` is a bare token: if it is declared as a `literal`, utoipa does not see it.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:tt),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// All values, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The text in JSON and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownText;

            fn from_str(text: &str) -> Result<Self, UnknownText> {
                match text { $($text => Ok(Self::$variant),)+ _ => Err(UnknownText) }
            }
        }
    };
}

/// The text is not a known status or reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown status or reason")]
pub struct UnknownText;

text_enum! {
    /// The status of a task.
    Status {
        /// The task waits for a worker.
        Created = "CREATED",
        /// The task is granted to a worker; its time to live is running.
        Running = "RUNNING",
        /// The task's result arrived before the deadline.
        Finished = "FINISHED",
        /// The task ended without a result; `reason` says why.
        Cancelled = "CANCELLED",
    }
}

text_enum! {
    /// Why a task was cancelled.
    Reason {
        /// The deadline passed, and no result was reported by then.
        TtlExpired = "TTL_EXPIRED",
        /// The result was reported after the deadline and was refused.
        LateResult = "LATE_RESULT",
        /// The task was granted to no worker within its `startWithin`.
        NotStarted = "NOT_STARTED",
        /// The operation failed; `error` says how.
        OperationFailed = "OPERATION_FAILED",
        /// The worker that ran the task sent no more heartbeats, or was restarted.
        WorkerLost = "WORKER_LOST",
        /// The owner of the task cancelled it.
        Requested = "REQUESTED",
        /// A task that it was to wait for ended without a result, or the results of those tasks made no valid parameters; `error` says which.
        DependencyFailed = "DEPENDENCY_FAILED",
    }
}

text_enum! {
    /// How an attempt ended.
    AttemptEnd {
        /// Its result finished the task.
        Finished = "FINISHED",
        /// Its worker stopped and released the task.
        Released = "RELEASED",
        /// The deadline passed, and no result was reported by then.
        TtlExpired = "TTL_EXPIRED",
        /// The result was reported after the deadline and was refused.
        LateResult = "LATE_RESULT",
        /// The operation failed; `error` says how.
        OperationFailed = "OPERATION_FAILED",
        /// The worker sent no more heartbeats, or was restarted.
        WorkerLost = "WORKER_LOST",
        /// The task was cancelled.
        Requested = "REQUESTED",
    }
}

impl Status {
    /// Whether the task has ended: a final status never changes.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }
}
