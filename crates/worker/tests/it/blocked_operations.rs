//! Operations of the isolation level `async` that block their threads: the worker notices it and goes on.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::available_parallelism;
use std::time::Duration;

use domain::GrantRef;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::{Context, Failure, Operation, Operations, Worker, builtin};

use crate::kit::probe_operation::{LONG_TTL, RunningWorker, settings};
use crate::kit::scripted_backend::{Backend, in_time};

/// The operation `BLOCKING`: blocks its thread until the test lets it return.
struct Blocking {
    started: mpsc::UnboundedSender<()>,
    gate: Gate,
}

/// Closed until the test opens it. Waiting for it blocks the thread.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn wait(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |is_open| !*is_open).unwrap());
    }
}

#[derive(Deserialize, JsonSchema)]
struct NoParameters {}

impl Operation for Blocking {
    const TYPE: &'static str = "BLOCKING";
    type Params = NoParameters;
    type Output = ();

    async fn run(&self, _: NoParameters, _: Context) -> Result<(), Failure> {
        let _ = self.started.send(());
        self.gate.wait();
        Ok(())
    }
}

struct BlockedWorker {
    worker: RunningWorker,
    started: mpsc::UnboundedReceiver<()>,
    gate: Gate,
}

fn run_worker(backend: &Backend, slots: u32) -> BlockedWorker {
    let ((sender, started), gate) = (mpsc::unbounded_channel(), Gate::default());
    let blocking = Blocking { started: sender, gate: gate.clone() };
    let operations: Operations = builtin::bundled(Duration::ZERO..=Duration::ZERO).with(blocking);
    let stop = CancellationToken::new();
    let worker = Worker::new(backend.client(), operations, settings(slots)).run(stop.clone());
    let worker = RunningWorker { worker: TaskTracker::new().spawn(worker), stop };
    BlockedWorker { worker, started, gate }
}

#[tokio::test]
async fn other_tasks_run_on_although_more_operations_block_than_there_are_cores() {
    let mut backend = Backend::start();
    let blocked = available_parallelism().unwrap().get() + 1;
    let mut worker = run_worker(&backend, u32::try_from(blocked).unwrap() + 1);
    for _ in 0..blocked {
        backend.add_task("BLOCKING", "{}", LONG_TTL);
    }
    for _ in 0..blocked {
        in_time(worker.started.recv()).await.unwrap();
    }
    for _ in 0..3 {
        let id = backend.add_task("ECHO", "{}", LONG_TTL);
        assert_eq!(backend.report().await.id, id);
    }
    worker.gate.open();
    worker.worker.stopped().await;
}

#[tokio::test]
async fn the_slot_of_a_blocked_operation_is_free_after_its_deadline_and_its_stop_is_told_when_it_returns() {
    let mut backend = Backend::start();
    let mut worker = run_worker(&backend, 1);
    let blocked = backend.add_task("BLOCKING", "{}", Duration::from_millis(100));
    in_time(worker.started.recv()).await.unwrap();
    let id = backend.add_task("ECHO", "{}", LONG_TTL);
    assert_eq!(backend.report().await.id, id);
    let grant = GrantRef { id: blocked, attempt: 1 };
    for _ in 0..5 {
        assert!(
            !backend.heartbeat().await.stopped.iter().any(|stopped| stopped.grant() == grant),
            "its code still runs"
        );
    }
    worker.gate.open();
    while !backend.heartbeat().await.stopped.iter().any(|stopped| stopped.grant() == grant) {}
    worker.worker.stopped().await;
}
