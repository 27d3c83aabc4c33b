//! The types of which tasks have become ready, collected for the long poll queue.

use parking_lot::Mutex;
use std::collections::BTreeSet;

use domain::TypeName;
use tokio::sync::Notify;

/// Collects the types of which a task has become ready since the last [`ReadyTypes::take`].
#[derive(Debug, Default)]
pub(crate) struct ReadyTypes {
    ready: Mutex<ReadySet>,
    changed: Notify,
}

/// The types of which a task has become ready.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    any: bool,
    types: BTreeSet<TypeName>,
    /// The types of tasks whose tickets a worker has declined.
    declined: BTreeSet<TypeName>,
}

impl ReadyTypes {
    /// Tasks of `types` have become ready.
    pub(crate) fn mark_ready<'a>(&self, types: impl Iterator<Item = &'a TypeName>) {
        let mut ready = self.ready.lock();
        for name in types {
            if !ready.types.contains(name) {
                ready.types.insert(name.clone());
            }
        }
        drop(ready);
        self.changed.notify_one();
    }

    /// Tickets of tasks of `types` were declined by a worker that does not run them.
    pub(crate) fn mark_declined<'a>(&self, types: impl Iterator<Item = &'a TypeName>) {
        self.ready.lock().declined.extend(types.cloned());
        self.changed.notify_one();
    }

    /// Tasks of any type may have become ready.
    pub(crate) fn mark_all_ready(&self) {
        self.ready.lock().any = true;
        self.changed.notify_one();
    }

    /// Waits until a type has been marked. There may be one waiter only.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes what was marked since the last call.
    pub(crate) fn take(&self) -> ReadySet {
        std::mem::take(&mut *self.ready.lock())
    }
}

impl ReadySet {
    /// Whether a task of one of `types` may have become ready.
    pub(crate) fn contains_any(&self, types: &BTreeSet<TypeName>) -> bool {
        self.any || self.types.iter().any(|name| types.contains(name))
    }

    /// Whether a ticket of one of `types` was declined: no worker is about to claim its task.
    pub(crate) fn has_declined(&self, types: &BTreeSet<TypeName>) -> bool {
        self.declined.iter().any(|name| types.contains(name))
    }
}
