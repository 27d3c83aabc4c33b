//! The worker's slots, and how what is granted is put to work in them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{ClaimResponse, TaskId, TraceContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::execution::executor::TaskExecutor;

/// A worker that has this many unsettled reports per slot takes no more work: they are held in memory.
const REPORTS_PER_SLOT: usize = 10;

/// Everything that runs tasks.
pub(crate) struct Slots {
    pub(crate) executor: Arc<TaskExecutor>,
    pub(crate) slots: Arc<Semaphore>,
    /// How many slots there are.
    pub(crate) size: usize,
    /// How long a slot rests after a task.
    pub(crate) delay: Duration,
    pub(crate) stop: CancellationToken,
}

impl Slots {
    /// Every slot that is free, once there is one and reports do not pile up; `None` once the worker stops.
    pub(crate) async fn free(&self) -> Option<OwnedSemaphorePermit> {
        let free = async {
            let first = Arc::clone(&self.slots).acquire_owned().await.expect("the slots are never closed");
            self.executor.reports.at_most(self.most_reports()).await;
            self.others(first)
        };
        self.stop.run_until_cancelled(free).await
    }

    /// The same, if it need not be waited for.
    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        let first = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let may_take = self.executor.reports.count() <= self.most_reports() && !self.stop.is_cancelled();
        may_take.then(|| self.others(first))
    }

    fn most_reports(&self) -> usize {
        self.size.saturating_mul(REPORTS_PER_SLOT)
    }

    fn others(&self, mut free: OwnedSemaphorePermit) -> OwnedSemaphorePermit {
        while let Ok(more) = Arc::clone(&self.slots).try_acquire_owned() {
            free.merge(more);
        }
        free
    }

    /// Puts what was granted to work in the `free` slots; what finds none is handed back.
    pub(crate) fn start(
        &self,
        (sent, grants): (SuspendAwareInstant, ClaimResponse),
        mut free: OwnedSemaphorePermit,
        traces: &HashMap<TaskId, TraceContext>,
    ) {
        for grant in grants.tasks {
            let deadline = Deadline::of(sent, grants.held_ms, grant.remaining_ms);
            let Some(slot) = free.split(1).filter(|_| !self.stop.is_cancelled()) else {
                self.executor.release(&grant, deadline);
                continue;
            };
            // The message's step comes after the submission's.
            let trace = traces.get(&grant.id).copied().or(grant.trace);
            let (executor, stop, delay) = (Arc::clone(&self.executor), self.stop.clone(), self.delay);
            self.executor.tracker.spawn(async move {
                executor.attend(grant, deadline, trace).await;
                stop.run_until_cancelled(tokio::time::sleep(delay)).await;
                drop(slot);
            });
        }
    }
}
