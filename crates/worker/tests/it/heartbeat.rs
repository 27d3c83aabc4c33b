//! The heart beats before the worker takes anything, says what runs, and no load silences it.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use domain::GrantRef;
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use worker::{Context, Failure, Operation, Operations, Worker};

use crate::kit::probe_operation::{LONG, run, settings};
use crate::kit::scripted_backend::{Backend, Event, Fault, HEARTBEATS};

#[tokio::test]
async fn the_first_beat_is_heard_before_the_first_ask() {
    let mut backend = Backend::start();
    backend.fail(HEARTBEATS, Fault::Unavailable);
    backend.fail(HEARTBEATS, Fault::Cut);
    let (worker, _) = run(&backend, settings(1));
    let mut beats = 0;
    loop {
        match backend.event().await {
            Event::Registered(_) => assert_eq!(beats, 0, "the catalogue comes first"),
            Event::Beat(heartbeat_loop) => {
                assert!(heartbeat_loop.first, "none has been answered");
                beats += 1;
            }
            Event::Asked(_) => break,
            Event::Reported(_) => panic!("nothing has run"),
        }
    }
    assert!(beats >= 3, "two of them were not answered");
    assert!(!backend.heartbeat_loop().await.first, "the next one is not the first");
    worker.stopped().await;
}

#[tokio::test]
async fn a_beat_says_what_runs() {
    let mut backend = Backend::start();
    let id = backend.give("PROBE", "{}", LONG);
    let (worker, mut seen) = run(&backend, settings(3));
    seen.begun().await;
    let running = loop {
        let heartbeat_loop = backend.heartbeat_loop().await;
        assert_eq!(heartbeat_loop.slots, 3);
        assert!(heartbeat_loop.types.iter().any(|name| name.as_str() == "PROBE"));
        if !heartbeat_loop.running.is_empty() {
            break heartbeat_loop.running;
        }
    };
    assert_eq!(running, [GrantRef { id, attempt: 1 }]);
    worker.stopped().await;
}

/// Computes without an await, until the test lets it.
struct Stubborn(Arc<Barrier>, Arc<Barrier>);

#[derive(Deserialize, JsonSchema)]
struct Nothing {}

impl Operation for Stubborn {
    const TYPE: &'static str = "STUBBORN";
    type Params = Nothing;
    type Output = ();

    async fn run(&self, _: Nothing, _: Context) -> Result<(), Failure> {
        self.0.wait();
        self.1.wait();
        Ok(())
    }
}

#[test]
fn it_beats_while_every_thread_of_the_worker_is_busy() {
    let mut backend = Backend::start();
    backend.give("STUBBORN", "{}", LONG);
    backend.give("STUBBORN", "{}", LONG);
    let (begun, may_end) = (Arc::new(Barrier::new(3)), Arc::new(Barrier::new(3)));
    let operations = Operations::new().with(Stubborn(Arc::clone(&begun), Arc::clone(&may_end)));
    let worker = Worker::new(backend.client(), operations, settings(2));
    let busy = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let waiter = std::thread::spawn(move || busy.block_on(worker.run(stopped)).unwrap());
    begun.wait();
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    here.block_on(async {
        while backend.heartbeat_loop().await.running.len() < 2 {}
        for _ in 0..20 {
            backend.heartbeat_loop().await;
        }
    });
    may_end.wait();
    stop.cancel();
    waiter.join().unwrap();
}

#[tokio::test]
async fn it_beats_until_the_worker_has_left() {
    let mut backend = Backend::start();
    backend.give("PROBE", "{}", LONG);
    let (worker, mut seen) = run(&backend, worker::Settings { drain: Duration::from_mins(1), ..settings(1) });
    seen.begun().await;
    worker.stop.cancel();
    for _ in 0..20 {
        assert!(backend.heartbeat_loop().await.running.len() <= 1);
    }
    seen.end(1);
    worker.stopped().await;
}
