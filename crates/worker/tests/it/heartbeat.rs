//! Heartbeats start before the worker claims tasks, name the running tasks, and no load delays them.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use domain::{GrantRef, StoppedGrant};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use worker::{Context, Failure, Operation, Operations, Worker};

use crate::kit::probe_operation::{LONG_TTL, run_worker, settings};
use crate::kit::scripted_backend::{Backend, Fault, HEARTBEATS, Request, in_time};

#[tokio::test]
async fn the_first_heartbeat_is_accepted_before_the_first_claim() {
    let mut backend = Backend::start();
    backend.fail(HEARTBEATS, Fault::Unavailable);
    backend.fail(HEARTBEATS, Fault::ConnectionClosed);
    let (worker, _) = run_worker(&backend, settings(1));
    let mut heartbeats = Vec::new();
    let instance = loop {
        match backend.request().await {
            Request::Registration(_) => assert!(heartbeats.is_empty(), "registration comes first"),
            Request::Heartbeat(heartbeat) => heartbeats.push(heartbeat.instance),
            Request::Claim(claim) => break claim.instance,
            Request::Reports(_) | Request::Progress(_) => panic!("no task has run"),
            Request::HeldHeartbeat(held) => assert_eq!(held.instance, heartbeats[0]),
        }
    };
    assert!(heartbeats.len() >= 3, "two heartbeats failed");
    assert!(heartbeats.iter().all(|of| *of == instance), "heartbeats and claims name the same process");
    worker.stopped().await;
}

#[tokio::test]
async fn a_heartbeat_names_the_running_tasks() {
    let mut backend = Backend::start();
    let id = backend.add_task("PROBE", "{}", LONG_TTL);
    let (worker, mut probe) = run_worker(&backend, settings(3));
    probe.started().await;
    let running = loop {
        let heartbeat = backend.heartbeat().await;
        assert_eq!(heartbeat.slots, 3);
        assert!(heartbeat.types.iter().any(|name| name.as_str() == "PROBE"));
        if !heartbeat.running.is_empty() {
            break heartbeat.running;
        }
    };
    assert_eq!(running, [GrantRef { id, attempt: 1 }]);
    worker.stopped().await;
}

/// The periodic heartbeat is an hour away, so the operation stops by the held one. The task was granted after that was sent.
#[tokio::test]
async fn the_answer_to_a_held_heartbeat_stops_a_task_at_once() {
    let mut backend = Backend::start();
    let settings = worker::Settings { heartbeat: Duration::from_hours(1), ..settings(1) };
    let (worker, mut probe) = run_worker(&backend, settings);
    backend.heartbeat().await;
    assert_eq!(backend.held_heartbeat().await.running, []);
    for _ in 0..3 {
        let id = backend.add_task("PROBE", "{}", LONG_TTL);
        let context = probe.started().await;
        backend.stop(GrantRef { id, attempt: 1 });
        in_time(context.stopped()).await;
        assert_eq!(probe.dropped().await, id);
        let heartbeat = backend.heartbeat().await;
        assert_eq!(
            heartbeat.stopped.iter().map(StoppedGrant::grant).collect::<Vec<_>>(),
            [GrantRef { id, attempt: 1 }],
            "the worker says at once that it has stopped"
        );
    }
    worker.stopped().await;
}

/// The operation `BLOCKING`: blocks its thread between two barriers.
struct Blocking {
    started: Arc<Barrier>,
    may_return: Arc<Barrier>,
}

#[derive(Deserialize, JsonSchema)]
struct NoParameters {}

impl Operation for Blocking {
    const TYPE: &'static str = "BLOCKING";
    type Params = NoParameters;
    type Output = ();

    async fn run(&self, _: NoParameters, _: Context) -> Result<(), Failure> {
        self.started.wait();
        self.may_return.wait();
        Ok(())
    }
}

#[test]
fn heartbeats_are_sent_while_every_thread_of_the_worker_is_blocked() {
    let mut backend = Backend::start();
    backend.add_task("BLOCKING", "{}", LONG_TTL);
    backend.add_task("BLOCKING", "{}", LONG_TTL);
    let (started, may_return) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
    let operations = Operations::new()
        .with(Blocking { started: Arc::clone(&started), may_return: Arc::clone(&may_return) });
    let worker = Worker::new(backend.client(), operations, settings(2));
    let blocked_runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let worker_thread = std::thread::spawn(move || blocked_runtime.block_on(worker.run(stopped)).unwrap());
    started.wait();
    let test_runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    test_runtime.block_on(async {
        while backend.heartbeat().await.running.len() < 2 {}
        for _ in 0..20 {
            backend.heartbeat().await;
        }
    });
    may_return.wait();
    stop.cancel();
    worker_thread.join().unwrap();
}

#[tokio::test]
async fn heartbeats_are_sent_until_the_worker_has_stopped() {
    let mut backend = Backend::start();
    backend.add_task("PROBE", "{}", LONG_TTL);
    let (worker, mut probe) =
        run_worker(&backend, worker::Settings { drain: Duration::from_mins(1), ..settings(1) });
    probe.started().await;
    worker.stop.cancel();
    for _ in 0..20 {
        assert!(backend.heartbeat().await.running.len() <= 1);
    }
    probe.let_return(1);
    worker.stopped().await;
    while !backend.heartbeat().await.last {}
}

/// A worker that was lost while it was frozen: another process has its name, and the Backend has ended its tasks.
#[tokio::test]
async fn a_worker_whose_name_is_taken_stops_its_tasks_and_keeps_trying() {
    let mut backend = Backend::start();
    backend.add_task("PROBE", "{}", LONG_TTL);
    let (worker, mut probe) = run_worker(&backend, settings(1));
    probe.started().await;
    while backend.heartbeat().await.running.is_empty() {}
    backend.fail(HEARTBEATS, Fault::NameTaken);
    while !backend.heartbeat().await.running.is_empty() {}
    let id = backend.add_task("PROBE", "{}", LONG_TTL);
    probe.started().await;
    while backend.heartbeat().await.running != [GrantRef { id, attempt: 1 }] {}
    probe.let_return(1);
    worker.stopped().await;
}
