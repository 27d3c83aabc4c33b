//! The threads that run operations of the isolation level `async`.
//!
//! They are not those of the worker itself: an operation that does not reach its next await occupies one of them for as long as it likes,
//! and the worker must go on to claim tasks, to report, and to stop others in time. An occupied thread is replaced, and the operations that
//! wait for a thread go on there: all threads serve one queue.

use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;

use async_executor::Executor;
use domain::{RawJson, TaskId, TypeName};
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, Abortable};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use crate::execution::counted_polls::{CountedPolls, PollCounter, PollNumber};
use crate::metrics::count_blocked_operation;
use crate::sdk::operation::Failure;

/// The name of each thread, as the system shows it.
const THREAD_NAME: &str = "operation";

/// The threads of operations: as many as the machine has cores, and one for each that is blocked. They end when this is dropped, a blocked
/// one when it returns.
pub(crate) struct OperationThreads {
    queue: Arc<Executor<'static>>,
    stop: CancellationToken,
    /// Operations that only wait run beside them, on the threads of the worker itself.
    waiting: TaskTracker,
}

/// An operation that was started.
pub(crate) struct StartedOperation {
    abort: AbortHandle,
    ended: oneshot::Receiver<Option<OperationReturn>>,
}

/// What an operation returned, or that it panicked.
pub(crate) type OperationReturn = Result<RawJson, Failure>;

thread_local! {
    /// Whether another thread has taken the place of this one.
    static IS_REPLACED: Cell<bool> = const { Cell::new(false) };
}

impl OperationThreads {
    /// Starts the threads. Timers and connections of the operations belong to the Tokio runtime that this is called in.
    ///
    /// # Errors
    ///
    /// If the system allows no more threads.
    pub(crate) fn start() -> io::Result<Self> {
        let (stop, waiting) = (CancellationToken::new(), TaskTracker::new());
        let threads = Self { queue: Arc::default(), stop, waiting };
        for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
            threads.add()?;
        }
        Ok(threads)
    }

    /// Starts an operation, whose polls `counter` counts.
    pub(crate) fn spawn(
        &self,
        operation: impl Future<Output = OperationReturn> + Send + Unpin + 'static,
        counter: Arc<PollCounter>,
    ) -> StartedOperation {
        let operation = CountedPolls::new(operation, counter, || IS_REPLACED.set(true));
        let (started, run) = StartedOperation::new(operation);
        self.queue.spawn(run).detach();
        started
    }

    /// Starts an operation that only waits, for a supervisor or a server, on the threads of the worker itself.
    pub(crate) fn spawn_waiting(
        &self,
        operation: impl Future<Output = OperationReturn> + Send + 'static,
    ) -> StartedOperation {
        let (started, run) = StartedOperation::new(operation);
        self.waiting.spawn(run);
        started
    }

    /// Reports that a `poll` of the operation of a task blocks its thread, and starts another thread in its place; but not twice.
    pub(crate) fn replace_blocked(
        &self,
        id: TaskId,
        name: &TypeName,
        counter: &PollCounter,
        poll: PollNumber,
    ) {
        if !counter.mark_replaced(poll) {
            return;
        }
        count_blocked_operation(name);
        warn!(
            task.id = %id,
            task.type = %name,
            "operation {name} blocks its thread in task {id}: it computes or waits without reaching an await; with the isolation level `process` it could be stopped"
        );
        if let Err(error) = self.add() {
            error!("no further thread for operations can be started: {error}");
        }
    }

    fn add(&self) -> io::Result<()> {
        let (queue, stop, runtime) = (Arc::clone(&self.queue), self.stop.clone(), Handle::current());
        thread::Builder::new().name(THREAD_NAME.to_owned()).spawn(move || {
            let _context = runtime.enter();
            futures_lite::future::block_on(async {
                while !IS_REPLACED.get() && stop.run_until_cancelled(queue.tick()).await.is_some() {}
            });
        })?;
        Ok(())
    }
}

impl Drop for OperationThreads {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl StartedOperation {
    fn new(
        operation: impl Future<Output = OperationReturn> + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (abort, registration) = AbortHandle::new_pair();
        let (sender, ended) = oneshot::channel();
        let run = async move {
            let returned = AssertUnwindSafe(operation).catch_unwind();
            let returned = Abortable::new(returned, registration).await;
            let returned = returned
                .ok()
                .map(|returned| returned.unwrap_or_else(|panic| Err(Failure::of_panic(&*panic))));
            // If nobody waits, nobody needs it.
            let _ = sender.send(returned);
        };
        (Self { abort, ended }, run)
    }

    /// Has the operation dropped at its next await.
    pub(crate) fn abort(&self) {
        self.abort.abort();
    }

    /// Waits for the end of the operation. `None`: it was dropped.
    pub(crate) async fn ended(&mut self) -> Option<OperationReturn> {
        (&mut self.ended).await.unwrap_or_default()
    }
}
