//! Stores what operations report of their progress, in batches.

use std::sync::Arc;

use database::DatabaseError;
use domain::{TaskEventKind, TaskId};
use store::{AttributedProgress, Store, TaskChange};

use crate::batching::batch_statement::{BatchStatement, ITEM_OVERHEAD_BYTES};
use crate::notify::notifier::Notifier;

/// The batch operation behind reports about progress.
pub(crate) struct ProgressBatch {
    pub(crate) store: Store,
    pub(crate) notifier: Arc<Notifier>,
}

impl BatchStatement for ProgressBatch {
    const METRIC_LABEL: &'static str = "progress";

    type Input = AttributedProgress;
    type Output = ();

    fn task_id(attributed: &AttributedProgress) -> TaskId {
        attributed.report.id
    }

    fn memory_bytes(attributed: &AttributedProgress) -> usize {
        ITEM_OVERHEAD_BYTES + attributed.report.message.as_ref().map_or(0, String::len)
    }

    async fn run(&self, batch: &[AttributedProgress]) -> Result<Vec<()>, DatabaseError> {
        let stored = self.store.store_progress(batch).await?;
        let stored = batch.iter().filter(|by| stored.contains(&by.report.id));
        self.notifier.notify_changed(stored.map(|by| TaskChange {
            id: by.report.id,
            kind: TaskEventKind::Progress,
            attempt: by.report.attempt,
        }));
        Ok(vec![(); batch.len()])
    }
}
