//! G9 for the level async: at its end a task's future is dropped, and nothing more is said of it.

use std::time::Duration;

use domain::{GrantRef, ReportOutcome};

use crate::kit::probe_operation::{LONG, run, settings};
use crate::kit::scripted_backend::{Backend, in_time};

#[tokio::test]
async fn a_task_past_its_deadline_is_stopped_and_not_reported() {
    let mut backend = Backend::start();
    let id = backend.give("PROBE", "{}", Duration::from_millis(200));
    let (worker, mut seen) = run(&backend, settings(1));
    let context = seen.begun().await;
    assert!(context.remaining() <= Duration::from_millis(200));
    assert!(!context.is_stopped());
    in_time(context.stopped()).await;
    assert_eq!(seen.dropped().await, id);
    assert!(context.is_stopped() && context.remaining().is_zero());
    let next = backend.give("ECHO", "{}", LONG);
    assert_eq!(backend.report().await.id, next, "the first report is of another task");
    worker.stopped().await;
}

#[tokio::test]
async fn a_task_that_a_heartbeats_answer_names_is_stopped_at_once() {
    let mut backend = Backend::start();
    let id = backend.give("PROBE", "{}", LONG);
    let other = backend.give("PROBE", "{}", LONG);
    let (worker, mut seen) = run(&backend, settings(2));
    let contexts = [seen.begun().await, seen.begun().await];
    backend.stop(GrantRef { id, attempt: 1 });
    assert_eq!(seen.dropped().await, id);
    let context = contexts.iter().find(|context| context.task() == other).unwrap();
    assert!(!context.is_stopped(), "the other goes on");
    seen.end(1);
    let report = backend.report().await;
    assert_eq!((report.id, report.attempt), (other, 1), "nothing is said of the stopped one");
    assert!(matches!(report.reported, ReportOutcome::Result(result) if result.text() == "\"ended\""));
    worker.stopped().await;
}
