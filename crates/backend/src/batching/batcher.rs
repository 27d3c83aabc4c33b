//! The sending side of group commit: queues an item, bounded by count and memory, and waits for its answer.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::batching::batch_consumer::{BatchConsumer, Queued};
use crate::batching::batch_statement::BatchStatement;
use crate::error::ApiError;
use crate::metrics;

/// Items that may wait for a writer; further ones are refused as overload.
const MAX_QUEUED_ITEMS: usize = 10_000;

/// Bytes of all items that wait or are being written; further items are refused as overload.
const MAX_QUEUED_BYTES: usize = 256 * 1024 * 1024;

/// A handle that executes items in batches. The writers end when every clone of it is dropped and the queue is empty.
pub(crate) struct Batcher<O: BatchStatement> {
    queue: mpsc::Sender<Queued<O>>,
    memory_permits: Arc<Semaphore>,
}

impl<O: BatchStatement> Clone for Batcher<O> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), memory_permits: self.memory_permits.clone() }
    }
}

impl<O: BatchStatement> Batcher<O> {
    /// A batcher, and the writers that must run for its items to be answered.
    pub(crate) fn new(operation: O) -> (Self, BatchConsumer<O>) {
        Self::with_limits(operation, MAX_QUEUED_ITEMS, MAX_QUEUED_BYTES)
    }

    fn with_limits(operation: O, items: usize, bytes: usize) -> (Self, BatchConsumer<O>) {
        metrics::start_batcher_counter(O::METRIC_LABEL);
        let (queue, receiver) = mpsc::channel(items);
        let memory_permits = Arc::new(Semaphore::new(bytes));
        (Self { queue, memory_permits }, BatchConsumer::new(operation, receiver))
    }

    /// Executes one item as a part of some batch. Fails at once, with [`ApiError::Overloaded`], if the queue is full.
    pub(crate) async fn execute(&self, input: O::Input) -> Result<O::Output, ApiError> {
        let (answer, answered) = oneshot::channel();
        let bytes = u32::try_from(O::memory_bytes(&input)).unwrap_or(u32::MAX);
        let full = || {
            metrics::batcher_full(O::METRIC_LABEL);
            ApiError::Overloaded
        };
        let memory = self.memory_permits.clone().try_acquire_many_owned(bytes).map_err(|_| full())?;
        self.queue.try_send(Queued { input, answer, memory }).map_err(|_| full())?;
        answered.await.map_err(|_| ApiError::Overloaded)?.map_err(|error| match Arc::try_unwrap(error) {
            Ok(error) => error.into(),
            Err(shared) => match shared.unavailable_cause() {
                Some(why) => ApiError::Unavailable(why),
                None if shared.is_transaction_rollback() => ApiError::Overloaded,
                None => ApiError::Internal(Box::new(shared)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use database::DatabaseError;
    use domain::TaskId;
    use tokio::task::JoinHandle;
    use tokio_util::task::TaskTracker;
    use uuid::Uuid;

    use super::*;

    /// Runs a batch per permit, and records what it ran.
    struct PermitGatedOperation {
        permits: Arc<Semaphore>,
        recorded: Arc<Mutex<Vec<Vec<u32>>>>,
    }

    impl BatchStatement for PermitGatedOperation {
        const METRIC_LABEL: &'static str = "blocked";

        type Input = u32;
        type Output = u32;

        fn task_id(input: &u32) -> TaskId {
            TaskId(Uuid::from_u128(u128::from(*input)))
        }

        fn memory_bytes(input: &u32) -> usize {
            *input as usize
        }

        async fn run(&self, batch: &[u32]) -> Result<Vec<u32>, DatabaseError> {
            self.permits.acquire().await.expect("never closed").forget();
            self.recorded.lock().unwrap().push(batch.to_vec());
            Ok(batch.to_vec())
        }
    }

    #[tokio::test]
    async fn items_gather_while_a_commit_is_in_flight_and_what_exceeds_the_queue_is_refused() {
        let (permits, recorded) = (Arc::new(Semaphore::new(0)), Arc::default());
        let operation = PermitGatedOperation { permits: permits.clone(), recorded: Arc::clone(&recorded) };
        let (batcher, writers) = Batcher::with_limits(operation, 3, 100);
        let tracker = TaskTracker::new();
        let first = execute(&batcher, &tracker, 1).await;
        let writer = tracker.spawn(writers.consume_loop());
        while batcher.queue.capacity() < 3 {
            tokio::task::yield_now().await;
        }
        let mut rest = Vec::new();
        for input in [2, 3, 2] {
            rest.push(execute(&batcher, &tracker, input).await);
        }
        assert!(matches!(batcher.execute(4).await, Err(ApiError::Overloaded)), "the queue is full");
        assert_eq!(
            batcher.memory_permits.available_permits(),
            100 - 1 - 2 - 3 - 2,
            "a refused item takes no memory"
        );
        // The item of a caller that has disconnected is executed all the same.
        rest.remove(0).abort();
        permits.add_permits(3);
        assert_eq!(first.await.unwrap().ok(), Some(1));
        for answer in rest {
            assert!(answer.await.unwrap().is_ok());
        }
        assert_eq!(batcher.memory_permits.available_permits(), 100, "an answered item returns its memory");
        drop(batcher);
        writer.await.unwrap();
        assert_eq!(*recorded.lock().unwrap(), [vec![1], vec![2, 3], vec![2]]);
    }

    #[tokio::test]
    async fn an_item_that_exceeds_the_memory_limit_beside_the_others_is_refused() {
        let (permits, recorded) = (Arc::new(Semaphore::new(2)), Arc::default());
        let (batcher, writers) = Batcher::with_limits(PermitGatedOperation { permits, recorded }, 10, 100);
        let large = batcher.execute(60);
        tokio::pin!(large);
        assert!(futures_util::poll!(&mut large).is_pending());
        assert!(matches!(batcher.execute(41).await, Err(ApiError::Overloaded)));
        TaskTracker::new().spawn(writers.consume_loop());
        assert_eq!(large.await.ok(), Some(60));
        assert_eq!(batcher.execute(41).await.ok(), Some(41), "the memory is free again");
    }

    /// Executes `input` in a task of its own; returns once the item is in the queue.
    async fn execute(
        batcher: &Batcher<PermitGatedOperation>,
        tracker: &TaskTracker,
        input: u32,
    ) -> JoinHandle<Result<u32, ApiError>> {
        let (free, sender) = (batcher.queue.capacity(), batcher.clone());
        let answer = tracker.spawn(async move { sender.execute(input).await });
        while batcher.queue.capacity() == free {
            tokio::task::yield_now().await;
        }
        answer
    }
}
