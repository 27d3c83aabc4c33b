//! The tasks that have ended and may have others that wait for them, for the loop that resolves those.

use std::sync::atomic::{AtomicBool, Ordering};

use domain::TaskId;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// The most tasks in memory. Beyond it all blocked tasks are looked at instead.
const MAX_TASKS: usize = 10_000;

/// Collects ended tasks, once this Backend has accepted a task that waits for others. Another Backend's blocked tasks are resolved by
/// that one, or by the periodic check if it is gone.
#[derive(Debug, Default)]
pub(crate) struct EndedParents {
    is_watching: AtomicBool,
    ended: Mutex<Parents>,
    changed: Notify,
}

/// Tasks that have ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parents {
    /// Any may have.
    All,
    /// These have.
    Some(Vec<TaskId>),
}

impl Default for Parents {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl EndedParents {
    /// A task was accepted that waits for `parents`. They may have ended before.
    pub(crate) fn watch(&self, parents: &[TaskId]) {
        self.is_watching.store(true, Ordering::Release);
        self.add(parents);
    }

    /// These tasks have ended. Costs next to nothing while no task that waits for others was accepted.
    pub(crate) fn add(&self, tasks: &[TaskId]) {
        if tasks.is_empty() || !self.is_watching.load(Ordering::Acquire) {
            return;
        }
        let mut ended = self.ended.lock();
        match &mut *ended {
            Parents::Some(ids) if ids.len() + tasks.len() <= MAX_TASKS => ids.extend_from_slice(tasks),
            _ => *ended = Parents::All,
        }
        self.changed.notify_one();
    }

    /// Tasks have ended of which it is not known which.
    pub(crate) fn add_any(&self) {
        if self.is_watching.load(Ordering::Acquire) {
            *self.ended.lock() = Parents::All;
            self.changed.notify_one();
        }
    }

    /// Waits until tasks have ended; [`EndedParents::take`] says which.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes the tasks that have ended since the last call.
    pub(crate) fn take(&self) -> Parents {
        std::mem::take(&mut self.ended.lock())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn tasks_are_collected_once_one_waits_for_others_and_too_many_are_all() {
        let parents = EndedParents::default();
        let id = |number| TaskId(Uuid::from_u128(number));
        parents.add(&[id(1)]);
        parents.add_any();
        assert_eq!(parents.take(), Parents::Some(Vec::new()));
        parents.watch(&[id(2)]);
        parents.add(&[id(3)]);
        assert_eq!(parents.take(), Parents::Some(vec![id(2), id(3)]));
        parents.add(&vec![id(4); MAX_TASKS]);
        parents.add(&[id(5)]);
        assert_eq!(parents.take(), Parents::All);
    }
}
