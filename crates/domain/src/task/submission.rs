//! A submission that was accepted, and how many tasks stand in each status.

use crate::id::{OwnerId, TaskId};
use crate::name::{QueueName, TypeName};
use crate::raw_json::RawJson;
use crate::task::ttl::Ttl;
use crate::trace_context::TraceContext;

/// The number of a grant: the fence. Each claim raises it, nothing lowers it. 0: never claimed.
pub type Attempt = u32;

/// A submission that has passed every rule and is ready to be stored. It never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Minted before the statement, so that a repeated statement is harmless.
    pub id: TaskId,
    /// Who asks.
    pub owner: OwnerId,
    /// Which operation.
    pub name: TypeName,
    /// The operation's queue.
    pub queue: QueueName,
    /// For the operation, as they came.
    pub parameters: Option<RawJson>,
    /// The life of an attempt, counted from its claim.
    pub ttl: Ttl,
    /// How long it may wait for a claim.
    pub start_within: Ttl,
    /// The trace that its steps belong to, if anybody traces.
    pub trace: Option<TraceContext>,
}

/// The books: how many tasks are in each status, taken at one instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TaskCounts {
    /// Rows of `task`.
    pub accepted: u64,
    /// In `live`, not claimed.
    pub created: u64,
    /// In `live`, claimed.
    pub running: u64,
    /// In `outcome`.
    pub finished: u64,
    /// In `outcome`.
    pub cancelled: u64,
}

impl TaskCounts {
    /// `accepted = CREATED + RUNNING + FINISHED + CANCELLED`.
    pub const fn balance(&self) -> bool {
        self.accepted == self.created + self.running + self.finished + self.cancelled
    }
}
