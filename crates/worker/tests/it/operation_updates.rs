//! The operations of a running worker are replaced.

use std::sync::Arc;
use std::time::Duration;

use domain::AttemptOutcome;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::builtin::{Echo, Sleep};
use worker::{Operations, Worker};

use crate::kit::probe_operation::{LONG_TTL, Probe, RunningWorker, settings};
use crate::kit::scripted_backend::{Backend, Fault, OPERATIONS};

fn run_worker(backend: &Backend, operations: Operations) -> (RunningWorker, watch::Sender<Arc<Operations>>) {
    let stop = CancellationToken::new();
    let (updates, receiver) = watch::channel(Arc::new(Operations::new()));
    let worker = Worker::new(backend.client(), operations, settings(2)).with_updates(receiver);
    (RunningWorker { worker: TaskTracker::new().spawn(worker.run(stop.clone())), stop }, updates)
}

/// Waits until heartbeats name these types.
async fn until_types_are(backend: &mut Backend, expected: &[&str]) {
    while backend.heartbeat().await.types.iter().map(domain::TypeName::as_str).ne(expected.iter().copied()) {}
}

#[tokio::test]
async fn tasks_of_a_new_type_are_claimed_at_once_and_what_has_begun_ends_with_the_operations_of_before() {
    let mut backend = Backend::start();
    let (probe, mut control) = Probe::new();
    let (worker, updates) = run_worker(&backend, Operations::new().with(probe));
    let begun = backend.add_task("PROBE", "{}", LONG_TTL);
    control.started().await;
    until_types_are(&mut backend, &["PROBE"]).await;
    updates.send(Arc::new(Operations::new().with(Echo).with(Sleep))).unwrap();
    until_types_are(&mut backend, &["ECHO", "SLEEP"]).await;
    // A pull that was sent before would be held for 20 seconds.
    let id = backend.add_task("ECHO", "{}", LONG_TTL);
    assert_eq!(backend.report().await.id, id);
    control.let_return(1);
    let report = backend.report().await;
    assert_eq!(report.id, begun);
    assert!(matches!(report.reported, AttemptOutcome::Result(_)), "{report:?}");
    worker.stopped().await;
}

#[tokio::test]
async fn a_set_that_the_backend_refuses_is_not_taken_and_a_later_one_is() {
    let mut backend = Backend::start();
    let (worker, updates) = run_worker(&backend, Operations::new().with(Echo));
    until_types_are(&mut backend, &["ECHO"]).await;
    backend.fail(OPERATIONS, Fault::Problem(409));
    updates.send(Arc::new(Operations::new().with(Sleep))).unwrap();
    while backend.registration().await.name.as_str() != "SLEEP" {}
    let id = backend.add_task("ECHO", "{}", LONG_TTL);
    assert_eq!(backend.report().await.id, id, "the worker goes on with what it had");
    updates.send(Arc::new(Operations::new().with(Echo).with(Sleep))).unwrap();
    until_types_are(&mut backend, &["ECHO", "SLEEP"]).await;
    worker.stopped().await;
}

#[tokio::test]
async fn a_task_of_a_type_that_was_removed_while_it_was_granted_is_released() {
    let mut backend = Backend::start();
    let (worker, updates) = run_worker(&backend, Operations::new().with(Echo));
    until_types_are(&mut backend, &["ECHO"]).await;
    updates.send(Arc::new(Operations::new().with(Sleep))).unwrap();
    until_types_are(&mut backend, &["SLEEP"]).await;
    // The scripted Backend grants any type.
    let id = backend.add_task("ECHO", "{}", Duration::from_mins(1));
    let report = backend.report().await;
    assert_eq!((report.id, report.reported), (id, AttemptOutcome::Released));
    worker.stopped().await;
}
