//! The tasks that the worker is running: heartbeats name them, and their responses stop some of them.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

use domain::{GrantRef, TypeName};
use tokio_util::sync::CancellationToken;

use crate::execution::counted_polls::{PollCounter, PollNumber};

/// The grants that are running. Clones share them; the heartbeat's thread has one.
#[derive(Clone, Default)]
pub(crate) struct RunningTasks(Arc<Mutex<HashMap<GrantRef, RunningTask>>>);

/// One grant that is running.
struct RunningTask {
    name: TypeName,
    /// Stops it.
    stop: CancellationToken,
    polls: Arc<PollCounter>,
}

/// A grant whose operation is being polled.
pub(crate) struct PolledTask {
    pub(crate) grant: GrantRef,
    pub(crate) name: TypeName,
    pub(crate) counter: Arc<PollCounter>,
    pub(crate) poll: PollNumber,
}

impl RunningTasks {
    /// Adds a grant of a task of the type `name` until the guard is dropped; `None` if it is running already.
    pub(crate) fn enter(&self, grant: GrantRef, name: &TypeName) -> Option<RunningGuard> {
        let (stop, polls) = (CancellationToken::new(), Arc::new(PollCounter::default()));
        self.with(|grants| {
            if grants.contains_key(&grant) {
                return None;
            }
            let task = RunningTask { name: name.clone(), stop: stop.clone(), polls: Arc::clone(&polls) };
            grants.insert(grant, task);
            Some(RunningGuard { running: self.clone(), grant, stop, polls })
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
            |(grant, task): (&GrantRef, &RunningTask)| (!task.stop.is_cancelled()).then_some(*grant);
        self.with(|grants| grants.iter().filter_map(is_unstopped).collect())
    }

    /// Stops a grant, if it is running.
    pub(crate) fn stop(&self, grant: &GrantRef) {
        self.with(|grants| {
            if let Some(task) = grants.get(grant) {
                task.stop.cancel();
            }
        });
    }

    /// The grants whose operations are being polled right now, in no order.
    pub(crate) fn polled(&self) -> Vec<PolledTask> {
        let polled = |(grant, task): (&GrantRef, &RunningTask)| {
            let poll = task.polls.current()?;
            let (name, counter) = (task.name.clone(), Arc::clone(&task.polls));
            Some(PolledTask { grant: *grant, name, counter, poll })
        };
        self.with(|grants| grants.iter().filter_map(polled).collect())
    }

    fn with<R>(&self, act: impl FnOnce(&mut HashMap<GrantRef, RunningTask>) -> R) -> R {
        act(&mut self.0.lock())
    }
}

/// A grant that counts as running until this is dropped.
pub(crate) struct RunningGuard {
    running: RunningTasks,
    grant: GrantRef,
    /// Cancelled when a heartbeat's response says that the task must stop.
    pub(crate) stop: CancellationToken,
    /// Counts the polls of its operation.
    pub(crate) polls: Arc<PollCounter>,
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.running.with(|grants| grants.remove(&self.grant));
    }
}
