//! What a worker runs at this instant: the heart says it, and stops what it is told to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use domain::GrantRef;
use tokio_util::sync::CancellationToken;

/// The grants that run, each with the token that stops it. Shared with the heart's thread.
#[derive(Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<GrantRef, CancellationToken>>>);

impl Running {
    /// Enters a grant until the guard is dropped; `None` if it runs already.
    pub(crate) fn enter(&self, held: GrantRef) -> Option<RunningGuard> {
        let stop = CancellationToken::new();
        self.with(|grants| {
            if grants.contains_key(&held) {
                return None;
            }
            grants.insert(held, stop.clone());
            Some(RunningGuard { running: self.clone(), held, stop })
        })
    }

    /// Whether any work has not ended.
    pub(crate) fn count(&self) -> usize {
        self.with(|grants| grants.len())
    }

    /// All of them.
    pub(crate) fn held(&self) -> Vec<GrantRef> {
        self.with(|grants| grants.keys().copied().collect())
    }

    /// Stops one, if it runs.
    pub(crate) fn stop(&self, held: &GrantRef) {
        self.with(|grants| {
            if let Some(stop) = grants.get(held) {
                stop.cancel();
            }
        });
    }

    fn with<R>(&self, act: impl FnOnce(&mut HashMap<GrantRef, CancellationToken>) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A grant's place among what runs.
pub(crate) struct RunningGuard {
    running: Running,
    held: GrantRef,
    pub(crate) stop: CancellationToken,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.with(|grants| grants.remove(&self.held));
    }
}
