//! Replaces the operations of a running worker.

use std::sync::Arc;

use client::Client;
use domain::{TypeName, WorkerName};
use telemetry::error_chain;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::backend_outage_log::BackendOutageLog;
use crate::metrics;
use crate::operation_registration::register_operations;
use crate::registry::active_operations::ActiveOperations;
use crate::registry::operations::Operations;

/// Registers each new set of operations and makes it the worker's.
pub(crate) struct OperationUpdates {
    pub(crate) updates: watch::Receiver<Arc<Operations>>,
    pub(crate) client: Client,
    pub(crate) worker: WorkerName,
    pub(crate) operations: ActiveOperations,
    pub(crate) outage_log: BackendOutageLog,
    pub(crate) stop: CancellationToken,
}

impl OperationUpdates {
    /// Follows the updates until the worker stops. A set that the Backend refuses is logged, and the operations stay as they were.
    pub(crate) async fn apply(mut self) {
        while let Some(Ok(())) = self.stop.run_until_cancelled(self.updates.changed()).await {
            let operations = Arc::clone(&self.updates.borrow_and_update());
            let mut newer = self.updates.clone();
            let registered = tokio::select! {
                registered = register_operations(&self.client, &operations, &self.outage_log, &self.stop) => registered,
                // It may wait for a Backend; a newer set need not wait for an older one.
                Ok(()) = newer.changed() => continue,
            };
            match registered {
                Ok(true) => self.replace(operations),
                Ok(false) => return,
                Err(error) => error!(
                    worker.name = %self.worker,
                    "the operations of worker {} stay as they were: {}", self.worker, error_chain(&error)
                ),
            }
        }
    }

    fn replace(&self, operations: Arc<Operations>) {
        operations.prepare_supervision();
        operations.types().iter().for_each(metrics::start_counters);
        let difference = Difference::between(&self.operations.current(), &operations);
        self.operations.replace(operations);
        let worker = &self.worker;
        info!(worker.name = %worker, "worker {worker} has read its operations again: {difference}");
    }
}

/// The types that one set of operations has and another has not.
struct Difference {
    added: Vec<TypeName>,
    removed: Vec<TypeName>,
    kept: usize,
}

impl Difference {
    fn between(before: &Operations, after: &Operations) -> Self {
        let (before, after) = (before.types(), after.types());
        let missing_in = |these: &[TypeName], those: &[TypeName]| {
            these.iter().filter(|name| !those.contains(name)).cloned().collect::<Vec<TypeName>>()
        };
        let added = missing_in(&after, &before);
        Self { kept: after.len() - added.len(), added, removed: missing_in(&before, &after) }
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |names: &[TypeName]| {
            let names: Vec<String> = names.iter().map(TypeName::to_string).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        write!(f, "added {}; removed {}; {} others", list(&self.added), list(&self.removed), self.kept)
    }
}
