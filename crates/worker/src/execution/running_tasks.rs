//! The tasks that the worker is running: heartbeats name them, and their responses stop some of them.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

use domain::GrantRef;
use tokio_util::sync::CancellationToken;

/// The grants that are running, each with the token that stops it. Clones share them; the heartbeat's thread has one.
#[derive(Clone, Default)]
pub(crate) struct RunningTasks(Arc<Mutex<HashMap<GrantRef, CancellationToken>>>);

impl RunningTasks {
    /// Adds a grant until the guard is dropped; `None` if it is running already.
    pub(crate) fn enter(&self, grant: GrantRef) -> Option<RunningGuard> {
        let stop = CancellationToken::new();
        self.with(|grants| {
            if grants.contains_key(&grant) {
                return None;
            }
            grants.insert(grant, stop.clone());
            Some(RunningGuard { running: self.clone(), grant, stop })
        })
    }

    /// How many grants are running.
    pub(crate) fn count(&self) -> usize {
        self.with(|grants| grants.len())
    }

    /// All grants that are running, in no order.
    pub(crate) fn grants(&self) -> Vec<GrantRef> {
        self.with(|grants| grants.keys().copied().collect())
    }

    /// The grants that are running and were not told to stop, in no order.
    pub(crate) fn unstopped_grants(&self) -> Vec<GrantRef> {
        let is_unstopped =
            |(grant, stop): (&GrantRef, &CancellationToken)| (!stop.is_cancelled()).then_some(*grant);
        self.with(|grants| grants.iter().filter_map(is_unstopped).collect())
    }

    /// Stops a grant, if it is running.
    pub(crate) fn stop(&self, grant: &GrantRef) {
        self.with(|grants| {
            if let Some(stop) = grants.get(grant) {
                stop.cancel();
            }
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut HashMap<GrantRef, CancellationToken>) -> R) -> R {
        act(&mut self.0.lock())
    }
}

/// A grant that counts as running until this is dropped.
pub(crate) struct RunningGuard {
    running: RunningTasks,
    grant: GrantRef,
    /// Cancelled when a heartbeat's response says that the task must stop.
    pub(crate) stop: CancellationToken,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.with(|grants| grants.remove(&self.grant));
    }
}
