//! Operations that a test controls, and a worker that runs them.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use domain::TaskId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::{Context, Failure, Operation, Settings, Worker, WorkerError, builtin};

use crate::kit::scripted_backend::{Backend, in_time};

/// The operation `PROBE`: signals its start and the drop of its future to the test, and returns when the test says so.
pub(crate) struct Probe {
    started: mpsc::UnboundedSender<Context>,
    dropped: mpsc::UnboundedSender<TaskId>,
    may_return: Arc<Semaphore>,
}

#[derive(Deserialize, JsonSchema)]
pub(crate) struct NoParameters {}

/// The test's end of the probe's signals.
pub(crate) struct ProbeControl {
    pub(crate) started: mpsc::UnboundedReceiver<Context>,
    pub(crate) dropped: mpsc::UnboundedReceiver<TaskId>,
    may_return: Arc<Semaphore>,
}

impl Probe {
    pub(crate) fn new() -> (Self, ProbeControl) {
        let ((started, started_receiver), (dropped, dropped_receiver)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let may_return = Arc::new(Semaphore::new(0));
        let control = ProbeControl {
            started: started_receiver,
            dropped: dropped_receiver,
            may_return: Arc::clone(&may_return),
        };
        (Self { started, dropped, may_return }, control)
    }
}

impl ProbeControl {
    /// The context of the next run that starts.
    pub(crate) async fn started(&mut self) -> Context {
        in_time(self.started.recv()).await.expect("the worker exists")
    }

    /// The task of the next run whose future is dropped.
    pub(crate) async fn dropped(&mut self) -> TaskId {
        in_time(self.dropped.recv()).await.expect("the worker exists")
    }

    /// Lets this many runs return.
    pub(crate) fn let_return(&self, runs: usize) {
        self.may_return.add_permits(runs);
    }
}

/// Sends the task when it is dropped.
struct DropSignal(mpsc::UnboundedSender<TaskId>, TaskId);

impl Drop for DropSignal {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

impl Operation for Probe {
    const TYPE: &'static str = "PROBE";
    type Params = NoParameters;
    type Output = &'static str;

    async fn run(&self, _: NoParameters, context: Context) -> Result<&'static str, Failure> {
        let _dropped = DropSignal(self.dropped.clone(), context.task());
        let _ = self.started.send(context);
        self.may_return.acquire().await?.forget();
        Ok("ended")
    }
}

/// The operation `FAILING`: returns a failure, or panics.
pub(crate) struct Failing;

#[derive(Deserialize, JsonSchema)]
pub(crate) struct FailingParameters {
    panics: bool,
}

impl Operation for Failing {
    const TYPE: &'static str = "FAILING";
    type Params = FailingParameters;
    type Output = ();

    async fn run(&self, parameters: FailingParameters, _: Context) -> Result<(), Failure> {
        assert!(!parameters.panics, "the kettle is cold");
        Err(Failure::new("the kettle is broken"))
    }
}

/// The operation `MISDECLARED`: its result is not what its schema says, which is written by hand.
pub(crate) struct Misdeclared;

/// A text whose schema says that it is a number.
#[derive(Serialize)]
pub(crate) struct WrongSchema(&'static str);

impl JsonSchema for WrongSchema {
    fn schema_name() -> Cow<'static, str> {
        "WrongSchema".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number"})
    }
}

impl Operation for Misdeclared {
    const TYPE: &'static str = "MISDECLARED";
    type Params = NoParameters;
    type Output = WrongSchema;

    async fn run(&self, _: NoParameters, _: Context) -> Result<WrongSchema, Failure> {
        Ok(WrongSchema("many"))
    }
}

/// A running worker.
pub(crate) struct RunningWorker {
    pub(crate) stop: CancellationToken,
    pub(crate) worker: JoinHandle<Result<(), WorkerError>>,
}

impl RunningWorker {
    /// Stops the worker and waits until `run` has returned.
    pub(crate) async fn stopped(self) {
        self.stop.cancel();
        in_time(self.worker).await.unwrap().unwrap();
    }
}

/// Settings with a heartbeat that is frequent enough for a test, and no drain.
pub(crate) fn settings(slots: u32) -> Settings {
    Settings {
        slots: NonZeroU32::new(slots).unwrap(),
        heartbeat: Duration::from_millis(50),
        drain: Duration::ZERO,
        ..Settings::named("tester".parse().unwrap())
    }
}

/// Runs a worker with [`Probe`], [`Failing`] and the built-in operations.
pub(crate) fn run_worker(backend: &Backend, settings: Settings) -> (RunningWorker, ProbeControl) {
    run_worker_of(backend.client(), settings)
}

/// The same with any client.
pub(crate) fn run_worker_of(client: Client, settings: Settings) -> (RunningWorker, ProbeControl) {
    let (probe, control) = Probe::new();
    let operations =
        builtin::bundled(Duration::ZERO..=Duration::ZERO).with(probe).with(Failing).with(Misdeclared);
    let stop = CancellationToken::new();
    let worker = TaskTracker::new().spawn(Worker::new(client, operations, settings).run(stop.clone()));
    (RunningWorker { stop, worker }, control)
}

/// A time to live that no test reaches.
pub(crate) const LONG_TTL: Duration = Duration::from_mins(10);
