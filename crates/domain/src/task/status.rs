//! The four statuses that everyone sees, and the six reasons of a cancellation.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

// `$word` is a bare token: wrapped as a `literal`, utoipa does not see it.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:tt),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $word)] $variant),+
        }

        impl $name {
            /// Every one, in the order of a task's life.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire and in the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownWord;

            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text { $($word => Ok(Self::$variant),)+ _ => Err(UnknownWord) }
            }
        }
    };
}

/// Neither a status nor a reason of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word of ours")]
pub struct UnknownWord;

words! {
    /// Where a task is in its life.
    Status {
        /// Submitted, not running.
        Created = "CREATED",
        /// Claimed by a worker; its time is counted.
        Running = "RUNNING",
        /// Its result arrived in time.
        Finished = "FINISHED",
        /// It ended without a result; the reason says why.
        Cancelled = "CANCELLED",
    }
}

words! {
    /// Why a task was cancelled.
    Reason {
        /// Nothing was reported by the deadline.
        TtlExpired = "TTL_EXPIRED",
        /// A result came after the deadline and was refused.
        LateResult = "LATE_RESULT",
        /// No worker claimed it within its `startWithin`.
        NotStarted = "NOT_STARTED",
        /// The operation failed.
        OperationFailed = "OPERATION_FAILED",
        /// The worker that ran it fell silent.
        WorkerLost = "WORKER_LOST",
        /// Its owner asked for it.
        Requested = "REQUESTED",
    }
}

impl Status {
    /// Whether nothing can change it any more.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Cancelled)
    }
}
