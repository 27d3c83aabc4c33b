//! Grants whose work has stopped without a report, until a heartbeat has said so.

use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use domain::{GrantRef, StoppedGrant};
use tokio::sync::Notify;

/// Grants that are kept; beyond them the oldest are dropped, and the Backends are not told when their work has stopped.
const MAX_GRANTS: usize = 10_000;

/// The grants of which the Backends have not been told. Clones share them; the heartbeat's thread has one.
#[derive(Clone, Default)]
pub(crate) struct StoppedWork {
    grants: Arc<Mutex<VecDeque<(GrantRef, Instant)>>>,
    added: Arc<Notify>,
}

impl StoppedWork {
    /// Adds a grant whose work has just stopped.
    pub(crate) fn add(&self, grant: GrantRef) {
        let mut grants = self.grants.lock();
        if grants.len() == MAX_GRANTS {
            grants.pop_front();
        }
        grants.push_back((grant, Instant::now()));
        drop(grants);
        self.added.notify_one();
    }

    /// Waits until a grant has been added. There may be one waiter only.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// The grants for the next heartbeat, which is sent now.
    pub(crate) fn grants(&self) -> Vec<StoppedGrant> {
        let told = |(GrantRef { id, attempt }, stopped_at): &(GrantRef, Instant)| StoppedGrant {
            id: *id,
            attempt: *attempt,
            ago_ms: u64::try_from(stopped_at.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        self.grants.lock().iter().map(told).collect()
    }

    /// Removes what an accepted heartbeat has named.
    pub(crate) fn remove(&self, told: &[StoppedGrant]) {
        if !told.is_empty() {
            let told: HashSet<GrantRef> = told.iter().map(StoppedGrant::grant).collect();
            self.grants.lock().retain(|(grant, _)| !told.contains(grant));
        }
    }
}
