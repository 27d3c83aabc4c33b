//! Grants tasks by id, in batches, and records every grant.

use std::collections::HashMap;
use std::sync::Arc;

use database::DatabaseError;
use domain::{ClaimId, Grant, TaskEventKind, TaskId, WorkerName, WorkerProcess};
use store::{ClaimById, Granted, Store, TaskChange};
use tokio::time::Instant;

use crate::batching::batch_statement::{BatchStatement, ITEM_OVERHEAD_BYTES};
use crate::metrics;
use crate::notify::notifier::Notifier;

/// How a task was granted; the value of the label `way` in the metrics.
#[derive(Debug, Clone, Copy)]
pub(crate) enum GrantedBy {
    /// The claim named the task.
    Id,
    /// The claim named types, and this task was waiting.
    Type,
}

/// A grant, and when its claim was sent to the database. The deadline that the worker computes from the two is never later
/// than the database's.
#[derive(Debug, Clone)]
pub(crate) struct TimedGrant {
    pub(crate) grant: Grant,
    pub(crate) worker: WorkerName,
    pub(crate) sent: Instant,
}

/// The batch operation behind claims by id. Its output is `None` if the task was not granted.
pub(crate) struct ClaimBatch {
    pub(crate) store: Store,
    pub(crate) notifier: Arc<Notifier>,
}

impl BatchStatement for ClaimBatch {
    const METRIC_LABEL: &'static str = "claim";

    type Input = ClaimById;
    type Output = Option<TimedGrant>;

    fn task_id(claim: &ClaimById) -> TaskId {
        claim.id
    }

    fn memory_bytes(_: &ClaimById) -> usize {
        ITEM_OVERHEAD_BYTES
    }

    async fn run(&self, batch: &[ClaimById]) -> Result<Vec<Option<TimedGrant>>, DatabaseError> {
        let sent = Instant::now();
        let granted =
            record_granted(&self.notifier, GrantedBy::Id, sent, self.store.claim_by_id(batch).await?);
        let mut granted: HashMap<TaskId, TimedGrant> =
            granted.into_iter().map(|granted| (granted.grant.id, granted)).collect();
        Ok(batch.iter().map(|claim| granted.remove(&claim.id)).collect())
    }
}

/// Counts grants that were committed, and schedules their deadlines. `sent` is when the claim was sent to the database.
pub(crate) fn record_granted(
    notifier: &Notifier,
    by: GrantedBy,
    sent: Instant,
    granted: Vec<Granted>,
) -> Vec<TimedGrant> {
    metrics::granted(by.label(), granted.len());
    notifier.deadline_timer.schedule(granted.iter().map(|granted| granted.grant.remaining_ms));
    notifier.notify_changed(granted.iter().map(|Granted { grant, .. }| TaskChange {
        id: grant.id,
        kind: TaskEventKind::Started,
        attempt: grant.attempt,
    }));
    with_sent_time(granted, sent)
}

/// The grants that still run under a claim: the answer to a claim request that is repeated.
pub(crate) async fn grants_under_claim(
    store: &Store,
    worker: &WorkerProcess,
    claim: ClaimId,
) -> Result<Vec<TimedGrant>, DatabaseError> {
    let sent = Instant::now();
    Ok(with_sent_time(store.grants_under_claim(&worker.name, worker.subject, claim).await?, sent))
}

fn with_sent_time(granted: Vec<Granted>, sent: Instant) -> Vec<TimedGrant> {
    granted.into_iter().map(|Granted { grant, worker }| TimedGrant { grant, worker, sent }).collect()
}

impl GrantedBy {
    const fn label(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Type => "pull",
        }
    }
}
