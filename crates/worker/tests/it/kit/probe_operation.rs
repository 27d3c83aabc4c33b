//! An operation that tells the test when it begins and when it is dropped, and ends when the test says so.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use domain::TaskId;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::{Context, Failure, Operation, Operations, Settings, Worker, WorkerError, builtin};

use crate::kit::scripted_backend::{Backend, in_time};

/// Begins, waits for a word of the test, ends.
pub(crate) struct Probe {
    begun: mpsc::UnboundedSender<Context>,
    dropped: mpsc::UnboundedSender<TaskId>,
    may_end: Arc<Semaphore>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct Nothing {}

/// The test's end of the probe.
pub(crate) struct Seen {
    pub(crate) begun: mpsc::UnboundedReceiver<Context>,
    pub(crate) dropped: mpsc::UnboundedReceiver<TaskId>,
    may_end: Arc<Semaphore>,
}

impl Probe {
    pub(crate) fn new() -> (Self, Seen) {
        let ((begun, seen_begun), (dropped, seen_dropped)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let may_end = Arc::new(Semaphore::new(0));
        let seen = Seen { begun: seen_begun, dropped: seen_dropped, may_end: Arc::clone(&may_end) };
        (Self { begun, dropped, may_end }, seen)
    }
}

impl Seen {
    pub(crate) async fn begun(&mut self) -> Context {
        in_time(self.begun.recv()).await.expect("the probe lives")
    }

    pub(crate) async fn dropped(&mut self) -> TaskId {
        in_time(self.dropped.recv()).await.expect("the probe lives")
    }

    /// Lets so many runs end.
    pub(crate) fn end(&self, runs: usize) {
        self.may_end.add_permits(runs);
    }
}

/// Tells when it is dropped.
struct Drops(mpsc::UnboundedSender<TaskId>, TaskId);

impl Drop for Drops {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

impl Operation for Probe {
    const TYPE: &'static str = "PROBE";
    type Params = Nothing;
    type Output = &'static str;

    async fn run(&self, _: Nothing, context: Context) -> Result<&'static str, Failure> {
        let _drops = Drops(self.dropped.clone(), context.task());
        let _ = self.begun.send(context);
        self.may_end.acquire().await?.forget();
        Ok("ended")
    }
}

/// Panics, or fails.
pub(crate) struct Broken;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct How {
    panics: bool,
}

impl Operation for Broken {
    const TYPE: &'static str = "BROKEN";
    type Params = How;
    type Output = ();

    async fn run(&self, how: How, _: Context) -> Result<(), Failure> {
        assert!(!how.panics, "the kettle is cold");
        Err(Failure::new("the kettle is broken"))
    }
}

/// A worker that runs.
pub(crate) struct Runs {
    pub(crate) stop: CancellationToken,
    worker: JoinHandle<Result<(), WorkerError>>,
}

impl Runs {
    /// Waits for its end after `stop`.
    pub(crate) async fn stopped(self) {
        self.stop.cancel();
        in_time(self.worker).await.unwrap().unwrap();
    }
}

/// A worker's settings, with a heart that beats fast enough for a test.
pub(crate) fn settings(slots: u32) -> Settings {
    Settings {
        slots: NonZeroU32::new(slots).unwrap(),
        heartbeat: Duration::from_millis(50),
        drain: Duration::ZERO,
        ..Settings::named("tester".parse().unwrap())
    }
}

/// Runs a worker with a probe and the ordinary operations.
pub(crate) fn run(backend: &Backend, settings: Settings) -> (Runs, Seen) {
    let (probe, seen) = Probe::new();
    let operations = builtin::bundled(Duration::ZERO..=Duration::ZERO).with(probe).with(Broken);
    (run_these(backend, settings, operations), seen)
}

pub(crate) fn run_these(backend: &Backend, settings: Settings, operations: Operations) -> Runs {
    let stop = CancellationToken::new();
    let worker = Worker::new(backend.client(), operations, settings);
    Runs { worker: TaskTracker::new().spawn(worker.run(stop.clone())), stop }
}

/// Long enough to be no matter.
pub(crate) const LONG: Duration = Duration::from_mins(10);
