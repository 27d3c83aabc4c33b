//! Natural batching: while a commit is in flight, the next batch gathers; no timer makes anybody wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use database::DatabaseError;
use domain::TaskId;
use telemetry::error_chain;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;

use crate::error::ApiError;
use crate::metrics;
use crate::supervisor::Parts;

/// The most items of one statement.
const BATCH: usize = 500;

/// How many items may wait for a writer; beyond it a request is told to come back.
const BUFFER: usize = 10_000;

/// How many bytes the items may hold that wait or are being written; beyond it a request is told the same.
const BYTES: usize = 256 * 1024 * 1024;

/// A statement ends with the item that brings it to so many bytes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How often a statement is tried again when another transaction stood in its way, or its commit is unknown.
const TRIES: u32 = 4;

/// No new try begins after this: who waits for a database that is away shall hear of it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A verb of the store as the pipeline runs it: a batch in, as many answers out, in order.
pub(crate) trait BatchOperation: Send + Sync + 'static {
    /// What the figures call it.
    const NAME: &'static str;

    type Input: Send + Sync + 'static;
    type Output: Send + 'static;

    /// Of which task an input speaks. No batch names a task twice.
    fn task(input: &Self::Input) -> TaskId;

    /// How many bytes an input holds, give or take.
    fn weight(input: &Self::Input) -> usize;

    fn run(
        &self,
        batch: &[Self::Input],
    ) -> impl Future<Output = Result<Vec<Self::Output>, DatabaseError>> + Send;
}

type Answer<T> = oneshot::Sender<Result<T, Arc<DatabaseError>>>;

/// An item that waits for its turn.
struct Queued<V: BatchOperation> {
    input: V::Input,
    answer: Answer<V::Output>,
    /// Its share of the bytes, given back when it is answered.
    room: OwnedSemaphorePermit,
}

/// The way into a pipeline. It stops when the last of these is gone and what was put in is done.
pub(crate) struct Batcher<V: BatchOperation> {
    jobs: mpsc::Sender<Queued<V>>,
    room: Arc<Semaphore>,
}

impl<V: BatchOperation> Clone for Batcher<V> {
    fn clone(&self) -> Self {
        Self { jobs: self.jobs.clone(), room: self.room.clone() }
    }
}

/// A pipeline's writers, before they run.
pub(crate) struct BatchWriters<V: BatchOperation> {
    verb: Arc<V>,
    jobs: Arc<Mutex<mpsc::Receiver<Queued<V>>>>,
}

impl<V: BatchOperation> Batcher<V> {
    pub(crate) fn new(verb: V) -> (Self, BatchWriters<V>) {
        Self::with_room(verb, BUFFER, BYTES)
    }

    fn with_room(verb: V, items: usize, bytes: usize) -> (Self, BatchWriters<V>) {
        let (sender, receiver) = mpsc::channel(items);
        let room = Arc::new(Semaphore::new(bytes));
        (
            Self { jobs: sender, room },
            BatchWriters { verb: Arc::new(verb), jobs: Arc::new(Mutex::new(receiver)) },
        )
    }

    /// Puts one item in and waits for its answer. A full buffer is an answer too.
    pub(crate) async fn put(&self, input: V::Input) -> Result<V::Output, ApiError> {
        let (answer, answered) = oneshot::channel();
        let weight = u32::try_from(V::weight(&input)).unwrap_or(u32::MAX);
        let full = || {
            metrics::full(V::NAME);
            ApiError::Overloaded
        };
        let room = self.room.clone().try_acquire_many_owned(weight).map_err(|_| full())?;
        self.jobs.try_send(Queued { input, answer, room }).map_err(|_| full())?;
        answered.await.map_err(|_| ApiError::Overloaded)?.map_err(|error| match Arc::try_unwrap(error) {
            Ok(error) => error.into(),
            Err(shared) if shared.is_unavailable() => ApiError::Unavailable("the database"),
            Err(shared) if shared.is_conflict() => ApiError::Overloaded,
            Err(shared) => ApiError::Internal(Box::new(shared)),
        })
    }
}

impl<V: BatchOperation> BatchWriters<V> {
    /// Starts `count` writers among `parts`.
    pub(crate) fn start(self, name: &'static str, count: usize, parts: &mut Parts) {
        for _ in 0..count {
            parts.spawn(name, write(self.verb.clone(), self.jobs.clone()));
        }
    }
}

/// Takes what has gathered and writes it, until nothing can come any more.
async fn write<V: BatchOperation>(verb: Arc<V>, jobs: Arc<Mutex<mpsc::Receiver<Queued<V>>>>) {
    loop {
        let mut gathered = Vec::new();
        if jobs.lock().await.recv_many(&mut gathered, BATCH).await == 0 {
            return;
        }
        let turns = turns(gathered, |job| V::task(&job.input));
        for batch in turns.into_iter().flat_map(|turn| light(turn, |job| V::weight(&job.input))) {
            let (inputs, answers): (Vec<_>, Vec<_>) =
                batch.into_iter().map(|job| (job.input, (job.answer, job.room))).unzip();
            let outputs = run(verb.as_ref(), &inputs).await;
            drop(inputs);
            for ((answer, room), output) in answers.into_iter().zip(outputs) {
                drop(room);
                // A caller that hung up has its task all the same; it only does not hear of it.
                drop(answer.send(output));
            }
        }
    }
}

/// Divides a turn so that a statement ends with the item that makes it heavy.
fn light<T>(turn: Vec<T>, weight: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches = Vec::new();
    let (mut batch, mut held) = (Vec::new(), 0);
    for item in turn {
        held += weight(&item);
        batch.push(item);
        if held >= BATCH_BYTES {
            batches.push(std::mem::take(&mut batch));
            held = 0;
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// Divides a batch so that no part names a task twice: what speaks of the same task takes turns, in the order it came.
fn turns<T>(batch: Vec<T>, task: impl Fn(&T) -> TaskId) -> Vec<Vec<T>> {
    let mut turns: Vec<Vec<T>> = Vec::new();
    let mut named: HashMap<TaskId, usize> = HashMap::new();
    for item in batch {
        let turn = named.entry(task(&item)).or_default();
        if *turn == turns.len() {
            turns.push(Vec::new());
        }
        turns[*turn].push(item);
        *turn += 1;
    }
    turns
}

/// Runs a batch; one that fails for what is in it is halved until the item that broke it stands alone.
async fn run<V: BatchOperation>(verb: &V, inputs: &[V::Input]) -> Vec<Result<V::Output, Arc<DatabaseError>>> {
    let mut outputs = Vec::with_capacity(inputs.len());
    let mut parts = vec![inputs];
    while let Some(part) = parts.pop() {
        match with_retries(verb, part).await {
            Ok(done) => outputs.extend(done.into_iter().map(Ok)),
            Err(error) if part.len() > 1 && error.is_about_a_row() => {
                tracing::warn!(error = %error_chain(&error), batch = part.len(), "a batch failed and is halved");
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

/// Tries again what lost to another transaction or whose commit is unknown: every verb may be repeated unchanged.
async fn with_retries<V: BatchOperation>(
    verb: &V,
    part: &[V::Input],
) -> Result<Vec<V::Output>, DatabaseError> {
    let began = Instant::now();
    let mut tries = 1;
    loop {
        let sent = std::time::Instant::now();
        let done = verb.run(part).await;
        metrics::statement(V::NAME, part.len(), sent);
        match done {
            Err(error)
                if tries < TRIES
                    && began.elapsed() < PATIENCE
                    && (error.is_conflict() || error.is_unavailable()) =>
            {
                tokio::time::sleep(Duration::from_millis(20 << tries)).await;
                tries += 1;
            }
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;
    use uuid::Uuid;

    use super::*;

    fn task(input: u32) -> TaskId {
        TaskId(Uuid::from_u128(u128::from(input)))
    }

    /// Doubles; refuses every batch that holds a 13.
    struct Picky;

    impl BatchOperation for Picky {
        const NAME: &'static str = "picky";

        type Input = u32;
        type Output = u32;

        fn task(input: &u32) -> TaskId {
            task(*input)
        }

        fn weight(input: &u32) -> usize {
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

    /// Waits for the door to open, and writes down its batches.
    struct Blocked {
        door: Arc<Semaphore>,
        batches: Arc<std::sync::Mutex<Vec<Vec<u32>>>>,
    }

    impl BatchOperation for Blocked {
        const NAME: &'static str = "blocked";

        type Input = u32;
        type Output = u32;

        fn task(input: &u32) -> TaskId {
            task(*input)
        }

        fn weight(input: &u32) -> usize {
            *input as usize
        }

        async fn run(&self, batch: &[u32]) -> Result<Vec<u32>, DatabaseError> {
            self.door.acquire().await.expect("never closed").forget();
            self.batches.lock().unwrap().push(batch.to_vec());
            Ok(batch.to_vec())
        }
    }

    #[tokio::test]
    async fn one_bad_row_fails_alone_and_the_answers_keep_their_order() {
        let inputs: Vec<u32> = (0..20).collect();
        let outputs = run(&Picky, &inputs).await;
        for (input, output) in inputs.into_iter().zip(outputs) {
            assert_eq!(output.ok(), (input != 13).then_some(input * 2));
        }
    }

    #[test]
    fn a_task_is_named_once_in_each_turn() {
        assert_eq!(turns(vec![1, 2, 1, 3, 1, 2], |&n| task(n)), [vec![1, 2, 3], vec![1, 2], vec![1]]);
        assert!(turns(Vec::new(), |&n| task(n)).is_empty());
    }

    #[tokio::test]
    async fn while_a_commit_is_in_flight_the_rest_gathers_and_what_does_not_fit_is_told_so() {
        let (door, batches) = (Arc::new(Semaphore::new(0)), Arc::default());
        let verb = Blocked { door: door.clone(), batches: Arc::clone(&batches) };
        let (pipeline, writers) = Batcher::with_room(verb, 3, 100);
        let tracker = TaskTracker::new();
        let first = put(&pipeline, &tracker, 1).await;
        let mut parts = Parts::default();
        writers.start("writer", 1, &mut parts);
        while pipeline.jobs.capacity() < 3 {
            tokio::task::yield_now().await;
        }
        let mut rest = Vec::new();
        for input in [2, 3, 2] {
            rest.push(put(&pipeline, &tracker, input).await);
        }
        assert!(matches!(pipeline.put(4).await, Err(ApiError::Overloaded)), "the buffer is full");
        assert_eq!(pipeline.room.available_permits(), 100 - 1 - 2 - 3 - 2, "what is refused holds no room");
        // Who hangs up has its item all the same.
        rest.remove(0).abort();
        door.add_permits(3);
        assert_eq!(first.await.unwrap().ok(), Some(1));
        for answer in rest {
            assert!(answer.await.unwrap().is_ok());
        }
        assert_eq!(pipeline.room.available_permits(), 100, "what is answered gives its room back");
        drop(pipeline);
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(parts.live(&stop).await, Ok(()));
        assert_eq!(*batches.lock().unwrap(), [vec![1], vec![2, 3], vec![2]]);
    }

    #[tokio::test]
    async fn what_is_too_heavy_beside_the_rest_is_told_so() {
        let (pipeline, writers) = Batcher::with_room(Picky, 10, 100);
        let heavy = pipeline.put(60);
        tokio::pin!(heavy);
        assert!(futures_util::poll!(&mut heavy).is_pending());
        assert!(matches!(pipeline.put(41).await, Err(ApiError::Overloaded)));
        let mut parts = Parts::default();
        writers.start("writer", 1, &mut parts);
        assert_eq!(heavy.await.ok(), Some(120));
        assert_eq!(pipeline.put(41).await.ok(), Some(82), "there is room again");
    }

    #[test]
    fn a_statement_ends_with_the_item_that_makes_it_heavy() {
        let mib = 1024 * 1024;
        let turn = vec![1, mib, 7 * mib, 9 * mib, 5, 6];
        assert_eq!(light(turn, |&n| n), [vec![1, mib, 7 * mib], vec![9 * mib], vec![5, 6]]);
        assert!(light(Vec::<usize>::new(), |&n| n).is_empty());
    }

    /// Puts `input` in; returns once it is in the buffer.
    async fn put(
        pipeline: &Batcher<Blocked>,
        tracker: &TaskTracker,
        input: u32,
    ) -> JoinHandle<Result<u32, ApiError>> {
        let (free, patient) = (pipeline.jobs.capacity(), pipeline.clone());
        let answer = tracker.spawn(async move { patient.put(input).await });
        while pipeline.jobs.capacity() == free {
            tokio::task::yield_now().await;
        }
        answer
    }
}
