//! Settles workers' reports in batches, then wakes those who wait for the tasks or for work.

use std::sync::Arc;

use database::DatabaseError;
use domain::limits::{result_too_large, truncate_error, unreadable_result};
use domain::{AttemptOutcome, Report, SettleResult, TaskId};
use store::{AttributedReport, Store};

use crate::batching::batch_operation::{BatchOperation, ITEM_OVERHEAD_BYTES};
use crate::batching::batch_writers::BatchWriters;
use crate::batching::batcher::Batcher;
use crate::catalogue::duplicate_members::NoDuplicateMembers;
use crate::error::ApiError;
use crate::metrics;
use crate::notify::notifier::Notifier;

/// Settles reports.
#[derive(Clone)]
pub(crate) struct Settler {
    batcher: Batcher<SettleBatch>,
    /// In bytes.
    max_result: usize,
}

impl Settler {
    /// A settler that accepts results of at most `max_result` bytes, and the writers that it needs.
    pub(crate) fn new(
        store: Store,
        notifier: Arc<Notifier>,
        max_result: usize,
    ) -> (Self, BatchWriters<SettleBatch>) {
        let (batcher, writers) = Batcher::new(SettleBatch { store, notifier });
        (Self { batcher, max_result }, writers)
    }

    /// Settles one report. A result that is too large, or that not every JSON parser reads alike (half a character, two
    /// members of one name), is settled as a failure of its task; an error text that is too long is cut.
    pub(crate) async fn settle(&self, attributed: AttributedReport) -> Result<SettleResult, ApiError> {
        let AttributedReport { worker, subject, report } = attributed;
        let reported = match report.reported {
            AttemptOutcome::Result(result) if result.text().len() > self.max_result => {
                AttemptOutcome::Error(result_too_large(result.text().len(), self.max_result))
            }
            AttemptOutcome::Result(result) => match result.read::<NoDuplicateMembers>() {
                Ok(_) => AttemptOutcome::Result(result),
                Err(error) => AttemptOutcome::Error(unreadable_result(error)),
            },
            AttemptOutcome::Error(error) => AttemptOutcome::Error(truncate_error(error)),
            AttemptOutcome::Released => AttemptOutcome::Released,
        };
        let report = Report { reported, ..report };
        self.batcher.execute(AttributedReport { worker, subject, report }).await
    }
}

/// The batch operation behind [`Settler`].
pub(crate) struct SettleBatch {
    store: Store,
    notifier: Arc<Notifier>,
}

impl BatchOperation for SettleBatch {
    const NAME: &'static str = "settle";

    type Input = AttributedReport;
    type Output = SettleResult;

    fn task_id(attributed: &AttributedReport) -> TaskId {
        attributed.report.id
    }

    fn memory_bytes(attributed: &AttributedReport) -> usize {
        let text = match &attributed.report.reported {
            AttemptOutcome::Result(result) => result.text().len(),
            AttemptOutcome::Error(error) => error.len(),
            AttemptOutcome::Released => 0,
        };
        ITEM_OVERHEAD_BYTES + text
    }

    async fn run(&self, batch: &[AttributedReport]) -> Result<Vec<SettleResult>, DatabaseError> {
        let settled = self.store.settle(batch).await?;
        let mut ended = Vec::new();
        for (AttributedReport { report, .. }, settled) in batch.iter().zip(&settled) {
            metrics::settled(settled);
            if has_ended(settled) {
                ended.push(report.id);
            }
        }
        self.notifier.notify_ended(&ended);
        if settled.contains(&SettleResult::Released) {
            self.notifier.notify_any_ready();
        }
        Ok(settled)
    }
}

fn has_ended(settled: &SettleResult) -> bool {
    matches!(settled, SettleResult::Finished | SettleResult::Cancelled { .. } | SettleResult::Late { .. })
}
