//! G17: a worker that is told to stop takes nothing new, lets what runs end, and hands the rest back.

use std::time::Duration;

use domain::ReportOutcome;

use crate::kit::probe_operation::{LONG, run, settings};
use crate::kit::scripted_backend::{Backend, Fault, RESULTS};

#[tokio::test]
async fn what_does_not_end_in_time_is_handed_back() {
    let mut backend = Backend::start();
    let id = backend.give("PROBE", "{}", LONG);
    let (worker, mut seen) =
        run(&backend, worker::Settings { drain: Duration::from_millis(50), ..settings(1) });
    let ask = backend.ask().await;
    seen.begun().await;
    worker.stopped().await;
    assert_eq!(seen.dropped.try_recv(), Ok(id), "its future was dropped before the worker left");
    let report = backend.report().await;
    assert_eq!((report.id, report.attempt, report.claim), (id, 1, ask.claim));
    assert_eq!(report.reported, ReportOutcome::Released);
}

#[tokio::test]
async fn what_ends_in_time_is_reported() {
    let mut backend = Backend::start();
    let id = backend.give("PROBE", "{}", LONG);
    let (worker, mut seen) = run(&backend, worker::Settings { drain: LONG, ..settings(1) });
    seen.begun().await;
    backend.fail(RESULTS, Fault::Unavailable);
    worker.stop.cancel();
    seen.end(1);
    worker.stopped().await;
    let (refused, accepted) = (backend.report().await, backend.report().await);
    assert_eq!(refused, accepted, "the last words are repeated too");
    assert_eq!(accepted.id, id);
    assert!(matches!(accepted.reported, ReportOutcome::Result(_)));
}

#[tokio::test]
async fn the_late_grants_of_an_ask_in_flight_are_handed_back() {
    let mut backend = Backend::start();
    let (worker, mut seen) = run(&backend, settings(1));
    let ask = backend.ask().await;
    worker.stop.cancel();
    let id = backend.give("PROBE", "{}", LONG);
    worker.stopped().await;
    let report = backend.report().await;
    assert_eq!((report.id, report.claim, report.reported), (id, ask.claim, ReportOutcome::Released));
    assert!(seen.begun.try_recv().is_err(), "it has not begun");
}
