//! The operations that a worker has now: they are replaced when its declarations are read again.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{QueueName, TypeName};
use tokio::sync::watch;

use crate::registry::operations::{Operations, RegisteredOperation};

/// The operations of a running worker. Clones share them.
#[derive(Clone)]
pub(crate) struct ActiveOperations(watch::Sender<Arc<Operations>>);

impl ActiveOperations {
    /// A worker that begins with `operations`.
    pub(crate) fn new(operations: Arc<Operations>) -> Self {
        Self(watch::Sender::new(operations))
    }

    /// The operations as they are now.
    pub(crate) fn current(&self) -> Arc<Operations> {
        Arc::clone(&self.0.borrow())
    }

    /// Replaces the operations. Tasks that run go on with what they were started with.
    pub(crate) fn replace(&self, operations: Arc<Operations>) {
        self.0.send_replace(operations);
    }

    /// Waits until the operations are no longer `known`.
    pub(crate) async fn changed_from(&self, known: &Arc<Operations>) {
        let mut operations = self.0.subscribe();
        let _ = operations.wait_for(|now| !Arc::ptr_eq(now, known)).await;
    }

    /// The types of all operations.
    pub(crate) fn types(&self) -> Vec<TypeName> {
        self.current().types()
    }

    /// The queues of all operations.
    pub(crate) fn queues(&self) -> BTreeSet<QueueName> {
        self.current().queues()
    }

    /// The operation that runs tasks of the type `name`.
    pub(crate) fn find(&self, name: &TypeName) -> Option<Arc<RegisteredOperation>> {
        self.0.borrow().find(name)
    }
}
