//! A claim request that waits for tasks.

use std::collections::BTreeSet;
use std::sync::Arc;

use database::DatabaseError;
use domain::TypeName;
use store::PullRequest;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use crate::lifecycle::claim::TimedGrant;
use crate::long_poll::query_schedule::QuerySchedule;

/// A claim request for tasks of certain types.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    /// The claim, the worker and its free slots.
    pub(super) pull: PullRequest,
    /// The types that the worker wants.
    pub(super) types: Arc<BTreeSet<TypeName>>,
    /// When to answer with nothing.
    pub(super) until: Instant,
    /// When to query the database.
    pub(super) schedule: QuerySchedule,
    /// Where the answer goes.
    pub(super) answer: oneshot::Sender<Result<Vec<TimedGrant>, WaitError>>,
    /// Its share of the most requests that may wait.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// Why a waiting request is answered with an error.
#[derive(Debug)]
pub(crate) enum WaitError {
    /// Another request with the same claim id is being served, here or at another Backend.
    Duplicate,
    /// The query for tasks failed.
    Query(Arc<DatabaseError>),
}

impl WaitingRequest {
    /// Answers with grants. If the worker has disconnected, the grants are returned to the caller.
    pub(super) fn answer_with(self, granted: Vec<TimedGrant>) -> Vec<TimedGrant> {
        self.answer.send(Ok(granted)).err().and_then(Result::ok).unwrap_or_default()
    }

    /// Answers with an error.
    pub(super) fn fail(self, error: WaitError) {
        // A worker that has disconnected needs no answer.
        drop(self.answer.send(Err(error)));
    }

    /// When the request is due: for its next query, or for an answer without tasks.
    pub(super) fn due(&self) -> Instant {
        self.schedule.next().map_or(self.until, |next| next.min(self.until))
    }
}
