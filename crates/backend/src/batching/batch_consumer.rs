//! The receiving side of a batcher: writers that take what has gathered and run it as batches.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use database::DatabaseError;
use telemetry::error_chain;
use tokio::sync::{Mutex, OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use crate::batching::batch_statement::BatchStatement;
use crate::batching::splitting::{split_by_bytes, split_by_task};
use crate::metrics;

/// The most items that a writer takes at once.
const MAX_BATCH_ITEMS: usize = 500;

/// The pauses before a batch is retried after a serialization failure or an unknown commit.
const RETRY_PAUSES: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(40)).with_factor(2.0).with_max_times(3);

/// No retry begins later than this after the first run: callers must learn soon that the database is unavailable.
const RETRY_WINDOW: Duration = Duration::from_secs(2);

/// An item that waits for a writer.
pub(crate) struct Queued<O: BatchStatement> {
    /// The item that the statement takes.
    pub(crate) input: O::Input,
    /// Where the answer goes.
    pub(crate) answer: oneshot::Sender<Result<O::Output, Arc<DatabaseError>>>,
    /// The memory that the item takes, returned when it is answered.
    pub(crate) memory: OwnedSemaphorePermit,
}

/// The queue of a batcher and the operation that its writers run.
pub(crate) struct BatchConsumer<O: BatchStatement> {
    operation: Arc<O>,
    queue: Arc<Mutex<mpsc::Receiver<Queued<O>>>>,
}

impl<O: BatchStatement> BatchConsumer<O> {
    /// Writers that run `operation` on what `queue` receives.
    pub(crate) fn new(operation: O, queue: mpsc::Receiver<Queued<O>>) -> Self {
        Self { operation: Arc::new(operation), queue: Arc::new(Mutex::new(queue)) }
    }

    /// One writer. It returns when every clone of the batcher is dropped and all queued items are answered. Several
    /// writers may run at the same time; then as many commits are in flight.
    pub(crate) fn consume_loop(&self) -> impl Future<Output = ()> + Send + use<O> {
        run_writer(self.operation.clone(), self.queue.clone())
    }
}

/// While one batch is being committed the next one gathers in the queue, so no item waits for a timer.
async fn run_writer<O: BatchStatement>(operation: Arc<O>, queue: Arc<Mutex<mpsc::Receiver<Queued<O>>>>) {
    loop {
        let mut received = Vec::new();
        if queue.lock().await.recv_many(&mut received, MAX_BATCH_ITEMS).await == 0 {
            return;
        }
        let parts = split_by_task(received, |queued| O::task_id(&queued.input));
        let batches =
            parts.into_iter().flat_map(|part| split_by_bytes(part, |queued| O::memory_bytes(&queued.input)));
        for batch in batches {
            let (inputs, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|queued| (queued.input, (queued.answer, queued.memory))).unzip();
            let outputs = run_batch(operation.as_ref(), &inputs).await;
            drop(inputs);
            for ((answer, memory), output) in answers.into_iter().zip(outputs) {
                drop(memory);
                // A caller that has disconnected has its item committed all the same.
                drop(answer.send(output));
            }
        }
    }
}

/// Runs a batch. One that fails because of a row in it is halved until the failing item is alone, so that the others
/// succeed.
async fn run_batch<O: BatchStatement>(
    operation: &O,
    inputs: &[O::Input],
) -> Vec<Result<O::Output, Arc<DatabaseError>>> {
    let mut outputs = Vec::with_capacity(inputs.len());
    let mut parts = vec![inputs];
    while let Some(part) = parts.pop() {
        match run_with_retries(operation, part).await {
            Ok(part_outputs) => outputs.extend(part_outputs.into_iter().map(Ok)),
            Err(error) if part.len() > 1 && error.is_permanent_row_error() => {
                tracing::warn!(error = %error_chain(&error), batch = part.len(), "a batch failed and is split in two");
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
            }
            Err(error) => {
                let error = Arc::new(error);
                outputs.extend(part.iter().map(|_| Err(error.clone())));
            }
        }
    }
    outputs
}

async fn run_with_retries<O: BatchStatement>(
    operation: &O,
    part: &[O::Input],
) -> Result<Vec<O::Output>, DatabaseError> {
    let began = Instant::now();
    let mut pauses = RETRY_PAUSES.build();
    loop {
        let sent = std::time::Instant::now();
        let result = operation.run(part).await;
        metrics::statement(O::METRIC_LABEL, part.len(), sent);
        let error = match result {
            Ok(outputs) => return Ok(outputs),
            Err(error) => error,
        };
        let may_retry =
            began.elapsed() < RETRY_WINDOW && (error.is_transaction_rollback() || error.is_unavailable());
        match pauses.next().filter(|_| may_retry) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::TaskId;
    use uuid::Uuid;

    use super::*;

    /// Doubles its items; refuses every batch that contains 13.
    struct FailingOnThirteen;

    impl BatchStatement for FailingOnThirteen {
        const METRIC_LABEL: &'static str = "failing on thirteen";

        type Input = u32;
        type Output = u32;

        fn task_id(input: &u32) -> TaskId {
            TaskId(Uuid::from_u128(u128::from(*input)))
        }

        fn memory_bytes(input: &u32) -> usize {
            *input as usize
        }

        async fn run(&self, batch: &[u32]) -> Result<Vec<u32>, DatabaseError> {
            match batch.iter().find(|input| **input == 13) {
                Some(_) => Err(DatabaseError::Corrupt {
                    table: "unfinished_task",
                    row: "13".to_owned(),
                    what: "13".to_owned(),
                }),
                None => Ok(batch.iter().map(|input| input * 2).collect()),
            }
        }
    }

    #[tokio::test]
    async fn one_bad_row_fails_alone_and_the_answers_keep_their_order() {
        let inputs: Vec<u32> = (0..20).collect();
        let outputs = run_batch(&FailingOnThirteen, &inputs).await;
        for (input, output) in inputs.into_iter().zip(outputs) {
            assert_eq!(output.ok(), (input != 13).then_some(input * 2));
        }
    }
}
