//! Grants whose work has stopped without a report, until a heartbeat has said so.

use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

use domain::GrantRef;
use tokio::sync::Notify;

/// Grants that are kept; beyond them the oldest are dropped, and the Backends are not told when their work has stopped.
const MAX_GRANTS: usize = 10_000;

/// The grants of which the Backends have not been told. Clones share them; the heartbeat's thread has one.
#[derive(Clone, Default)]
pub(crate) struct StoppedWork {
    grants: Arc<Mutex<VecDeque<GrantRef>>>,
    added: Arc<Notify>,
}

impl StoppedWork {
    /// Adds a grant whose work has just stopped.
    pub(crate) fn add(&self, grant: GrantRef) {
        let mut grants = self.grants.lock();
        if grants.len() == MAX_GRANTS {
            grants.pop_front();
        }
        grants.push_back(grant);
        drop(grants);
        self.added.notify_one();
    }

    /// Waits until a grant has been added. There may be one waiter only.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// The grants for the next heartbeat.
    pub(crate) fn grants(&self) -> Vec<GrantRef> {
        self.grants.lock().iter().copied().collect()
    }

    /// Removes what an accepted heartbeat has named.
    pub(crate) fn remove(&self, told: &[GrantRef]) {
        if !told.is_empty() {
            self.grants.lock().retain(|grant| !told.contains(grant));
        }
    }
}
