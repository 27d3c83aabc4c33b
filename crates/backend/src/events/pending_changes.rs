//! The changes of tasks that were announced and whose events are not sent yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::TaskId;
use parking_lot::Mutex;
use store::TaskChange;
use tokio::sync::Notify;

/// The most changes that wait. Beyond it they are dropped, and readers are sent a `reset`.
const MAX_PENDING: usize = 50_000;

/// Collects the changes that somebody reads; nothing else is stored, and without readers an announcement costs one atomic read.
#[derive(Debug, Default)]
pub(crate) struct PendingChanges {
    has_interest: AtomicBool,
    state: Mutex<PendingState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct PendingState {
    batch: ChangeBatch,
    wants_all: bool,
    /// The tasks that somebody reads, and how many do.
    wanted_tasks: HashMap<TaskId, usize>,
}

/// What was announced since the last batch.
#[derive(Debug, Default)]
pub(crate) struct ChangeBatch {
    pub(crate) changes: Vec<TaskChange>,
    /// Whether more has happened than `changes` says.
    pub(crate) has_missed: bool,
}

impl PendingChanges {
    /// Whether the changes of any task are collected.
    pub(crate) fn has_interest(&self) -> bool {
        self.has_interest.load(Ordering::Relaxed)
    }

    /// Adds the changes that somebody reads.
    pub(crate) fn add(&self, changes: impl Iterator<Item = TaskChange>) {
        if !self.has_interest() {
            return;
        }
        let mut state = self.state.lock();
        let PendingState { batch, wants_all, wanted_tasks } = &mut *state;
        let before = batch.changes.len();
        batch.changes.extend(changes.filter(|change| *wants_all || wanted_tasks.contains_key(&change.id)));
        if batch.changes.len() > MAX_PENDING {
            *batch = ChangeBatch { changes: Vec::new(), has_missed: true };
        } else if batch.changes.len() == before {
            return;
        }
        drop(state);
        self.changed.notify_one();
    }

    /// More has happened than is known.
    pub(crate) fn add_missed(&self) {
        if self.has_interest() {
            self.state.lock().batch.has_missed = true;
            self.changed.notify_one();
        }
    }

    /// Waits until something is pending. There may be one waiter only.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes what is pending.
    pub(crate) fn take(&self) -> ChangeBatch {
        std::mem::take(&mut self.state.lock().batch)
    }

    /// From now on every change is collected, or only those of single tasks.
    pub(crate) fn set_wants_all(&self, wants_all: bool) {
        self.update_interest(|state| state.wants_all = wants_all);
    }

    /// From now on the changes of `task` are collected, until [`PendingChanges::forget_task`] has been called as often.
    pub(crate) fn want_task(&self, task: TaskId) {
        self.update_interest(|state| *state.wanted_tasks.entry(task).or_default() += 1);
    }

    /// One reader of `task` less.
    pub(crate) fn forget_task(&self, task: TaskId) {
        self.update_interest(|state| {
            let readers = state.wanted_tasks.get_mut(&task).map_or(0, |readers| {
                *readers -= 1;
                *readers
            });
            if readers == 0 {
                state.wanted_tasks.remove(&task);
            }
        });
    }

    fn update_interest(&self, change: impl FnOnce(&mut PendingState)) {
        let mut state = self.state.lock();
        change(&mut state);
        self.has_interest.store(state.wants_all || !state.wanted_tasks.is_empty(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use domain::TaskEventKind;
    use uuid::Uuid;

    use super::*;

    fn changes(tasks: usize) -> impl Iterator<Item = TaskChange> {
        let id = |n: usize| TaskId(Uuid::from_u128(n as u128));
        (0..tasks).map(move |n| TaskChange { id: id(n), kind: TaskEventKind::Created, attempt: 0 })
    }

    #[test]
    fn only_what_somebody_reads_is_collected() {
        let pending = PendingChanges::default();
        pending.add(changes(3));
        pending.add_missed();
        assert!(pending.take().changes.is_empty() && !pending.take().has_missed);
        let task = TaskId(Uuid::from_u128(1));
        pending.want_task(task);
        pending.want_task(task);
        pending.forget_task(task);
        pending.add(changes(3));
        assert_eq!(pending.take().changes, changes(2).skip(1).collect::<Vec<_>>());
        pending.set_wants_all(true);
        pending.forget_task(task);
        pending.add(changes(3));
        assert_eq!(pending.take().changes.len(), 3);
        pending.set_wants_all(false);
        assert!(!pending.has_interest());
    }

    #[test]
    fn what_is_too_much_counts_as_missed() {
        let pending = PendingChanges::default();
        pending.set_wants_all(true);
        pending.add(changes(MAX_PENDING + 1));
        let batch = pending.take();
        assert!(batch.changes.is_empty() && batch.has_missed);
    }
}
