//! The bell for those who wait for work: which types have become ready.

use std::collections::BTreeSet;
use std::sync::Mutex;

use domain::TypeName;
use tokio::sync::Notify;

/// The types of which a task has become ready since somebody looked.
#[derive(Debug, Default)]
pub(crate) struct ReadyTypes {
    types: Mutex<ReadySet>,
    pub(crate) bell: Notify,
}

/// What has been rung.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    pub(crate) all: bool,
    some: BTreeSet<TypeName>,
}

impl ReadyTypes {
    /// Tasks of `types` are ready.
    pub(crate) fn ring<'a>(&self, types: impl Iterator<Item = &'a TypeName>) {
        let mut rung = self.types.lock().expect("no panic while it is held");
        for name in types {
            if !rung.some.contains(name) {
                rung.some.insert(name.clone());
            }
        }
        drop(rung);
        self.bell.notify_one();
    }

    /// Tasks of any type may be ready.
    pub(crate) fn ring_all(&self) {
        self.types.lock().expect("no panic while it is held").all = true;
        self.bell.notify_one();
    }

    /// What has been rung since the last time.
    pub(crate) fn take(&self) -> ReadySet {
        std::mem::take(&mut *self.types.lock().expect("no panic while it is held"))
    }
}

impl ReadySet {
    pub(crate) fn any_of(&self, types: &BTreeSet<TypeName>) -> bool {
        self.all || self.some.iter().any(|name| types.contains(name))
    }
}
