//! G17: a stopping worker claims nothing new, lets running tasks end within the drain, and releases the rest.

use std::time::Duration;

use domain::AttemptOutcome;

use crate::kit::probe_operation::{LONG_TTL, run_worker, settings};
use crate::kit::scripted_backend::{Backend, Fault, RESULTS};

#[tokio::test]
async fn a_task_that_does_not_end_within_the_drain_is_released() {
    let mut backend = Backend::start();
    let id = backend.add_task("PROBE", "{}", LONG_TTL);
    let (worker, mut probe) =
        run_worker(&backend, worker::Settings { drain: Duration::from_millis(50), ..settings(1) });
    let request = backend.claim_request().await;
    probe.started().await;
    worker.stopped().await;
    assert_eq!(probe.dropped.try_recv(), Ok(id), "the future was dropped before the worker stopped");
    let report = backend.report().await;
    assert_eq!((report.id, report.attempt, report.claim), (id, 1, request.claim));
    assert_eq!(report.reported, AttemptOutcome::Released);
}

#[tokio::test]
async fn a_task_that_ends_within_the_drain_is_reported() {
    let mut backend = Backend::start();
    let id = backend.add_task("PROBE", "{}", LONG_TTL);
    let (worker, mut probe) = run_worker(&backend, worker::Settings { drain: LONG_TTL, ..settings(1) });
    probe.started().await;
    backend.fail(RESULTS, Fault::Unavailable);
    worker.stop.cancel();
    probe.let_return(1);
    worker.stopped().await;
    let (refused, accepted) = (backend.report().await, backend.report().await);
    assert_eq!(refused, accepted, "the report is retried although the worker stops");
    assert_eq!(accepted.id, id);
    assert!(matches!(accepted.reported, AttemptOutcome::Result(_)));
}

#[tokio::test]
async fn grants_of_a_claim_that_was_in_flight_at_the_stop_are_released() {
    let mut backend = Backend::start();
    let (worker, mut probe) = run_worker(&backend, settings(1));
    let request = backend.claim_request().await;
    worker.stop.cancel();
    let id = backend.add_task("PROBE", "{}", LONG_TTL);
    worker.stopped().await;
    let report = backend.report().await;
    assert_eq!((report.id, report.claim, report.reported), (id, request.claim, AttemptOutcome::Released));
    assert!(probe.started.try_recv().is_err(), "the task has not started");
}
