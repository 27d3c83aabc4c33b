//! Heartbeats that are held until a grant of their worker must be stopped, by worker.

use parking_lot::Mutex;
use std::collections::HashMap;

use domain::GrantRef;
use store::{GrantWorker, StoppedGrant};
use tokio::sync::oneshot;

/// The heartbeats that are held at this Backend, one for each worker.
#[derive(Debug, Default)]
pub(crate) struct HeldHeartbeats {
    by_worker: Mutex<HashMap<GrantWorker, oneshot::Sender<Vec<GrantRef>>>>,
}

impl HeldHeartbeats {
    /// A receiver of the grants that `worker` must stop from now on, once. An earlier receiver of the same worker fails.
    /// Subscribe before reading which grants have ended: then one that ends between the two is not missed.
    pub(crate) fn subscribe(&self, worker: GrantWorker) -> oneshot::Receiver<Vec<GrantRef>> {
        let (sender, receiver) = oneshot::channel();
        self.by_worker.lock().insert(worker, sender);
        receiver
    }

    /// Answers the heartbeats of the workers that hold these grants.
    pub(crate) fn answer(&self, stopped: &[StoppedGrant]) {
        let mut by_worker = self.by_worker.lock();
        if by_worker.is_empty() {
            return;
        }
        let mut grants: HashMap<&GrantWorker, Vec<GrantRef>> = HashMap::new();
        for StoppedGrant { grant_worker, grant } in stopped {
            grants.entry(grant_worker).or_default().push(*grant);
        }
        for (worker, grants) in grants {
            if let Some(held) = by_worker.remove(worker) {
                // A worker that has disconnected needs no answer.
                held.send(grants).ok();
            }
        }
    }

    /// Drops the entries of requests that wait no more.
    pub(crate) fn drop_closed(&self) {
        self.by_worker.lock().retain(|_, held| !held.is_closed());
    }
}

#[cfg(test)]
mod tests {
    use domain::{SubjectId, TaskId};
    use uuid::Uuid;

    use super::*;

    fn worker(name: &str) -> GrantWorker {
        GrantWorker { worker: name.parse().unwrap(), subject: SubjectId(Uuid::nil()) }
    }

    #[tokio::test]
    async fn a_worker_is_answered_with_its_own_grants_once() {
        let held = HeldHeartbeats::default();
        let (replaced, mine, mut theirs) =
            (held.subscribe(worker("a")), held.subscribe(worker("a")), held.subscribe(worker("b")));
        assert!(replaced.await.is_err(), "a later heartbeat of the worker takes its place");
        let grant = |id| GrantRef { id: TaskId(Uuid::from_u128(id)), attempt: 1 };
        let stopped = [1, 2].map(|id| StoppedGrant { grant_worker: worker("a"), grant: grant(id) });
        held.answer(&stopped);
        held.answer(&stopped);
        assert_eq!(mine.await.unwrap(), [grant(1), grant(2)]);
        assert!(theirs.try_recv().is_err());
        drop(theirs);
        held.drop_closed();
        assert!(held.by_worker.lock().is_empty(), "a closed request leaves no entry");
    }
}
