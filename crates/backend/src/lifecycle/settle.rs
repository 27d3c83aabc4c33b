//! Settles workers' reports in batches, then wakes those who wait for the tasks or for work.

use std::sync::Arc;

use database::DatabaseError;
use domain::limits::{refused_result, result_too_large, truncate_error, unreadable_result};
use domain::{AttemptOutcome, RawJson, Report, SettleResult, TaskEventKind, TaskId, TypeName};
use store::{AttributedReport, Store, TaskChange};

use crate::batching::batch_consumer::BatchConsumer;
use crate::batching::batch_statement::{BatchStatement, ITEM_OVERHEAD_BYTES};
use crate::batching::batcher::Batcher;
use crate::catalogue::Catalogue;
use crate::catalogue::duplicate_members::NoDuplicateMembers;
use crate::error::ApiError;
use crate::metrics;
use crate::notify::notifier::Notifier;

/// Settles reports.
#[derive(Clone)]
pub(crate) struct Settler {
    store: Store,
    catalogue: Catalogue,
    batcher: Batcher<SettleBatch>,
    /// In bytes.
    max_result: usize,
}

impl Settler {
    /// A settler that accepts results of at most `max_result` bytes, and the writers that it needs.
    pub(crate) fn new(
        store: Store,
        catalogue: Catalogue,
        notifier: Arc<Notifier>,
        max_result: usize,
    ) -> (Self, BatchConsumer<SettleBatch>) {
        let (batcher, writers) = Batcher::new(SettleBatch { store: store.clone(), notifier });
        (Self { store, catalogue, batcher, max_result }, writers)
    }

    /// Settles one report. A result that is too large, that not every JSON parser reads alike (a lone surrogate, a
    /// duplicate key), or that its schema does not allow, is settled as a failure of its task; an error text that is too long is
    /// cut.
    pub(crate) async fn settle(&self, attributed: AttributedReport) -> Result<SettleResult, ApiError> {
        let AttributedReport { worker, subject, report } = attributed;
        let reported = match report.reported {
            AttemptOutcome::Result(result) => match self.result_fault(&report.type_name, &result).await? {
                None => AttemptOutcome::Result(result),
                Some(fault) => AttemptOutcome::Error(truncate_error(fault)),
            },
            AttemptOutcome::Error(error) => AttemptOutcome::Error(truncate_error(error)),
            AttemptOutcome::Released => AttemptOutcome::Released,
        };
        let report = Report { reported, ..report };
        self.batcher.execute(AttributedReport { worker, subject, report }).await
    }

    /// The text of the failure that replaces `result`, if it is not one that a task of the type `name` may have.
    async fn result_fault(&self, name: &TypeName, result: &RawJson) -> Result<Option<String>, DatabaseError> {
        if result.text().len() > self.max_result {
            return Ok(Some(result_too_large(result.text().len(), self.max_result)));
        }
        if let Err(error) = result.read::<NoDuplicateMembers>() {
            return Ok(Some(unreadable_result(error)));
        }
        let violations = self.catalogue.violations_of_result(name, result, &self.store).await?;
        Ok((!violations.is_empty()).then(|| refused_result(json_schema::join(&violations))))
    }
}

/// The batch operation behind [`Settler`].
pub(crate) struct SettleBatch {
    store: Store,
    notifier: Arc<Notifier>,
}

impl BatchStatement for SettleBatch {
    const METRIC_LABEL: &'static str = "settle";

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
        let (mut ended, mut waiting) = (Vec::new(), Vec::new());
        for (AttributedReport { report, .. }, settled) in batch.iter().zip(&settled) {
            metrics::settled(settled);
            if has_ended(settled) {
                ended.push(report.id);
            } else if matches!(settled, SettleResult::Released | SettleResult::Retried { .. }) {
                let attempt = report.attempt;
                waiting.push(TaskChange { id: report.id, kind: TaskEventKind::AttemptEnded, attempt });
            }
        }
        self.notifier.notify_ended(&ended);
        if settled.contains(&SettleResult::Released) {
            self.notifier.notify_any_ready();
        }
        self.notifier.notify_changed(waiting.into_iter());
        let ready_dates = settled.iter().filter_map(|settled| match settled {
            SettleResult::Retried { ready_date, .. } => Some(*ready_date),
            _ => None,
        });
        self.notifier.schedule_ready(ready_dates, self.store.now());
        Ok(settled)
    }
}

fn has_ended(settled: &SettleResult) -> bool {
    matches!(settled, SettleResult::Finished | SettleResult::Cancelled { .. } | SettleResult::Late { .. })
}
