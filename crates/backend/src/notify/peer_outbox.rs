//! What this Backend has committed and not yet published to the other Backends.

use parking_lot::Mutex;

use domain::{Priority, TaskId, TypeName};
use store::{PeerUpdate, StoppedGrant, TaskChange};
use tokio::sync::Notify;

/// The most ended tasks that are published by id. Beyond it one short message says that any task may have ended.
const MAX_ENDED_IDS: usize = 10_000;

/// The most changes of tasks that are published. Beyond it one short message says that any task may have changed.
const MAX_CHANGES: usize = 10_000;

/// The most grants to stop that are published together. The workers of further ones hear of them by their periodic heartbeats.
const MAX_STOPPED: usize = 10_000;

/// Collects updates while earlier ones are being published. Collects nothing while there is no other Backend.
#[derive(Debug, Default)]
pub(crate) struct PeerOutbox {
    pending: Mutex<Pending>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    update: PeerUpdate,
    has_peers: bool,
    /// Whether a peer wants to be notified of changes.
    has_reading_peers: bool,
}

impl PeerOutbox {
    /// Adds tasks that have ended to the next notification.
    pub(crate) fn add_ended(&self, tasks: &[TaskId]) {
        if tasks.is_empty() {
            return;
        }
        self.add(|update| {
            if update.any_ended || update.ended.len() + tasks.len() > MAX_ENDED_IDS {
                update.ended.clear();
                update.any_ended = true;
            } else {
                update.ended.extend_from_slice(tasks);
            }
        });
    }

    /// Adds changes of tasks, if a peer wants to know them.
    pub(crate) fn add_changes(&self, changes: impl Iterator<Item = TaskChange>) {
        let mut pending = self.pending.lock();
        if !pending.has_reading_peers {
            return;
        }
        let update = &mut pending.update;
        if !update.any_change {
            update.changes.extend(changes);
        }
        if update.changes.len() > MAX_CHANGES {
            update.changes.clear();
            update.any_change = true;
        }
        drop(pending);
        self.changed.notify_one();
    }

    /// This Backend has begun to read events: peers publish changes from now on.
    pub(crate) fn request_changes(&self) {
        self.add(|update| update.wants_changes = Some(true));
    }

    /// Adds grants that have ended without a report.
    pub(crate) fn add_stopped(&self, stopped: &[StoppedGrant]) {
        if stopped.is_empty() {
            return;
        }
        self.add(|update| {
            let room = MAX_STOPPED.saturating_sub(update.stopped.len());
            update.stopped.extend(stopped.iter().take(room).cloned());
        });
    }

    /// Tasks of these types have become ready.
    pub(crate) fn add_ready<'a>(&self, types: impl Iterator<Item = &'a TypeName>) {
        self.add(|update| {
            for name in types {
                if !update.ready.contains(name) {
                    update.ready.insert(name.clone());
                }
            }
        });
    }

    /// Tasks with these priorities, other than the default, were accepted.
    pub(crate) fn add_priorities(&self, priorities: impl Iterator<Item = (TypeName, Priority)>) {
        self.add(|update| update.priorities.extend(priorities));
    }

    /// Tickets of tasks of these types were declined.
    pub(crate) fn add_declined<'a>(&self, types: impl Iterator<Item = &'a TypeName>) {
        self.add(|update| update.declined.extend(types.cloned()));
    }

    /// A task of an unknown type has become ready.
    pub(crate) fn add_any_ready(&self) {
        self.add(|update| update.any_ready = true);
    }

    /// Says whether there are other Backends to publish to. Without them, what is pending is dropped.
    pub(crate) fn set_has_peers(&self, has_peers: bool) {
        let mut pending = self.pending.lock();
        pending.has_peers = has_peers;
        if !has_peers {
            pending.update = PeerUpdate::default();
            pending.has_reading_peers = false;
        }
    }

    /// Says whether a peer wants to be notified of changes. One that begins to read may have missed some.
    pub(crate) fn set_has_reading_peers(&self, has_reading_peers: bool) {
        self.pending.lock().has_reading_peers = has_reading_peers;
    }

    /// Waits until something is pending. There may be one waiter only.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes what is pending.
    pub(crate) fn take(&self) -> PeerUpdate {
        std::mem::take(&mut self.pending.lock().update)
    }

    fn add(&self, change: impl FnOnce(&mut PeerUpdate)) {
        let mut pending = self.pending.lock();
        if pending.has_peers {
            change(&mut pending.update);
            drop(pending);
            self.changed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn tasks(count: usize) -> Vec<TaskId> {
        (0..count).map(|n| TaskId(Uuid::from_u128(n as u128))).collect()
    }

    #[test]
    fn nothing_is_collected_without_peers() {
        let outbox = PeerOutbox::default();
        outbox.add_ended(&tasks(1));
        assert_eq!(outbox.take(), PeerUpdate::default());
        outbox.set_has_peers(true);
        outbox.add_ended(&tasks(1));
        outbox.add_any_ready();
        assert_eq!(outbox.take(), PeerUpdate { ended: tasks(1), any_ready: true, ..PeerUpdate::default() });
        outbox.add_any_ready();
        outbox.set_has_peers(false);
        assert_eq!(outbox.take(), PeerUpdate::default());
    }

    #[test]
    fn too_many_ids_become_one_short_message() {
        let outbox = PeerOutbox::default();
        outbox.set_has_peers(true);
        outbox.add_ended(&tasks(MAX_ENDED_IDS));
        assert_eq!(outbox.take().ended.len(), MAX_ENDED_IDS);
        for _ in 0..3 {
            outbox.add_ended(&tasks(MAX_ENDED_IDS - 1));
        }
        let any = PeerUpdate { any_ended: true, ..PeerUpdate::default() };
        assert_eq!(outbox.take(), any);
        outbox.add_ended(&tasks(1));
        assert_eq!(outbox.take().ended, tasks(1), "the next ones are published by id again");
    }
}
