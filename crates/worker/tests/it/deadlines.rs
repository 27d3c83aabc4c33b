//! G9 for the isolation level async: when a task ends its future is dropped, and nothing more is reported about it.

use std::time::Duration;

use domain::{AttemptOutcome, GrantRef};

use crate::kit::probe_operation::{LONG_TTL, run_worker, settings};
use crate::kit::scripted_backend::{Backend, in_time};

#[tokio::test]
async fn a_task_past_its_deadline_is_stopped_and_not_reported() {
    let mut backend = Backend::start();
    let id = backend.add_task("PROBE", "{}", Duration::from_millis(200));
    let (worker, mut probe) = run_worker(&backend, settings(1));
    let context = probe.started().await;
    assert!(context.remaining() <= Duration::from_millis(200));
    assert!(!context.is_stopped());
    in_time(context.stopped()).await;
    assert_eq!(probe.dropped().await, id);
    assert!(context.is_stopped() && context.remaining().is_zero());
    let next = backend.add_task("ECHO", "{}", LONG_TTL);
    assert_eq!(backend.report().await.id, next, "the first report is about another task");
    worker.stopped().await;
}

#[tokio::test]
async fn a_task_that_the_response_to_a_heartbeat_names_is_stopped_at_once() {
    let mut backend = Backend::start();
    let id = backend.add_task("PROBE", "{}", LONG_TTL);
    let other = backend.add_task("PROBE", "{}", LONG_TTL);
    let (worker, mut probe) = run_worker(&backend, settings(2));
    let contexts = [probe.started().await, probe.started().await];
    backend.stop(GrantRef { id, attempt: 1 });
    assert_eq!(probe.dropped().await, id);
    let context = contexts.iter().find(|context| context.task() == other).unwrap();
    assert!(!context.is_stopped(), "the other task goes on");
    probe.let_return(1);
    let report = backend.report().await;
    assert_eq!((report.id, report.attempt), (other, 1), "nothing is reported about the stopped task");
    assert!(matches!(report.reported, AttemptOutcome::Result(result) if result.text() == "\"ended\""));
    worker.stopped().await;
}
