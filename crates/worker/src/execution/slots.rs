//! The slots of a worker: how free ones are acquired, and how granted tasks are dispatched to them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{TaskId, TraceContext};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::execution::executor::TaskExecutor;
use crate::execution::timed_grants::TimedGrants;

/// A worker with this many unsettled reports per slot claims no more tasks: reports are held in memory.
const MAX_UNSETTLED_REPORTS_PER_SLOT: usize = 10;

/// The slots of one worker. Each runs one task at a time.
pub(crate) struct Slots {
    executor: Arc<TaskExecutor>,
    free: Arc<Semaphore>,
    size: usize,
    delay: Duration,
    stop: CancellationToken,
}

impl Slots {
    /// `size` free slots, each of which stays empty for `delay` after a task. No task is dispatched after `stop`.
    pub(crate) fn new(
        executor: Arc<TaskExecutor>,
        size: u32,
        delay: Duration,
        stop: CancellationToken,
    ) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { executor, free: Arc::new(Semaphore::new(size)), size, delay, stop }
    }

    /// Acquires every free slot, waiting until there is one and few enough reports are unsettled; `None` once the worker
    /// stops.
    pub(crate) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        let acquire = async {
            let first = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
            self.executor.reports.wait_until_unsettled_at_most(self.max_unsettled_reports()).await;
            self.merge_remaining(first)
        };
        self.stop.run_until_cancelled(acquire).await
    }

    /// Acquires every free slot; `None` if [`Slots::acquire`] would wait.
    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        let first = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let may_claim = self.executor.reports.unsettled_count() <= self.max_unsettled_reports();
        (may_claim && !self.stop.is_cancelled()).then(|| self.merge_remaining(first))
    }

    /// Waits for `awaited`; `None` if the worker stops before.
    pub(crate) async fn run_until_stopped<T>(&self, awaited: impl Future<Output = T>) -> Option<T> {
        self.stop.run_until_cancelled(awaited).await
    }

    fn max_unsettled_reports(&self) -> usize {
        self.size.saturating_mul(MAX_UNSETTLED_REPORTS_PER_SLOT)
    }

    fn merge_remaining(&self, mut acquired: OwnedSemaphorePermit) -> OwnedSemaphorePermit {
        while let Ok(more) = Arc::clone(&self.free).try_acquire_owned() {
            acquired.merge(more);
        }
        acquired
    }

    /// Runs granted tasks in the `acquired` slots. A grant that finds no slot, or a stopping worker, is released.
    ///
    /// `traces` are the spans of the tickets, by task: they come after the span of the submission that the grant names.
    pub(crate) fn dispatch(
        &self,
        granted: TimedGrants,
        mut acquired: OwnedSemaphorePermit,
        traces: &HashMap<TaskId, TraceContext>,
    ) {
        for (grant, deadline) in granted.into_grants() {
            let Some(slot) = acquired.split(1).filter(|_| !self.stop.is_cancelled()) else {
                self.executor.release(&grant, deadline);
                continue;
            };
            let trace = traces.get(&grant.id).copied().or(grant.trace);
            let (executor, stop, delay) = (Arc::clone(&self.executor), self.stop.clone(), self.delay);
            self.executor.tracker.spawn(async move {
                executor.execute(grant, deadline, trace).await;
                stop.run_until_cancelled(tokio::time::sleep(delay)).await;
                drop(slot);
            });
        }
    }
}
