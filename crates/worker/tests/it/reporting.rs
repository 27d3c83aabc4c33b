//! A result is kept until the Backend has it; a failure is a sentence; what is refused takes nothing else with it.

use std::collections::HashMap;

use domain::{Report, ReportOutcome, TaskId};
use tokio::sync::oneshot;

use crate::kit::probe_operation::{LONG, run, settings};
use crate::kit::scripted_backend::{Backend, Fault, RESULTS};

fn said(report: &Report) -> &str {
    match &report.reported {
        ReportOutcome::Result(result) => result.text(),
        ReportOutcome::Error(error) => error,
        ReportOutcome::Released => "released",
    }
}

#[tokio::test]
async fn a_result_is_repeated_until_it_is_accepted() {
    let mut backend = Backend::start();
    for fault in [Fault::Unavailable, Fault::Cut, Fault::Problem(403), Fault::Unavailable] {
        backend.fail(RESULTS, fault);
    }
    let id = backend.give("ECHO", r#"{ "big": 9223372036854775807, "e": 1.0e2 }"#, LONG);
    let (worker, _) = run(&backend, settings(1));
    for _ in 0..5 {
        let report = backend.report().await;
        assert_eq!(report.id, id);
        assert_eq!(said(&report), r#"{ "big": 9223372036854775807, "e": 1.0e2 }"#, "byte for byte");
    }
    let next = backend.give("ECHO", "{}", LONG);
    assert_eq!(backend.report().await.id, next, "once accepted it is not repeated");
    worker.stopped().await;
}

#[tokio::test]
async fn a_failure_and_a_panic_are_sentences_and_the_worker_lives() {
    let mut backend = Backend::start();
    backend.give("BROKEN", r#"{"panics":false}"#, LONG);
    let (worker, _) = run(&backend, settings(1));
    assert_eq!(said(&backend.report().await), "the kettle is broken");
    backend.give("BROKEN", r#"{"panics":true}"#, LONG);
    assert_eq!(said(&backend.report().await), "the operation panicked: the kettle is cold");
    backend.give("ECHO", "[]", LONG);
    assert_eq!(said(&backend.report().await), "[]");
    worker.stopped().await;
}

#[tokio::test]
async fn parameters_are_checked_against_the_workers_own_schema() {
    let mut backend = Backend::start();
    let (worker, _) = run(&backend, settings(1));
    for (name, parameters, begins) in [
        ("GENERATE_LOGIN", r#"{"length":0}"#, "PARAMETERS_REFUSED: /length: 0 is less than the minimum of 1"),
        (
            "GENERATE_LOGIN",
            r#"{"lenght":9}"#,
            "PARAMETERS_REFUSED: Additional properties are not allowed ('lenght'",
        ),
        (
            "GENERATE_NUMBER",
            r#"{"length":19}"#,
            "PARAMETERS_REFUSED: /length: 19 is greater than the maximum of 18",
        ),
        ("SLEEP", "null", "PARAMETERS_REFUSED: \"ms\" is a required property"),
        ("SLEEP", r#"{"ms":1}"#, "1"),
        ("GENERATE_NUMBER", r#"{"length":1}"#, ""),
        ("ECHO", "null", "{}"),
    ] {
        backend.give(name, parameters, LONG);
        let report = backend.report().await;
        assert!(said(&report).starts_with(begins), "{name} {parameters}: {}", said(&report));
    }
    worker.stopped().await;
}

#[tokio::test]
async fn absent_parameters_mean_the_defaults() {
    let mut backend = Backend::start();
    let (worker, _) = run(&backend, settings(1));
    backend.give("GENERATE_LOGIN", "null", LONG);
    assert_eq!(said(&backend.report().await).len(), 12, "ten characters and two quotes");
    backend.give("GENERATE_NUMBER", "{}", LONG);
    assert_eq!(said(&backend.report().await).parse::<u64>().unwrap().ilog10(), 7, "eight digits");
    worker.stopped().await;
}

#[tokio::test]
async fn a_result_that_is_refused_becomes_a_failure_and_takes_no_other_with_it() {
    let mut backend = Backend::start();
    backend.take_no_results_longer_than(10);
    let (go, wait) = oneshot::channel();
    backend.fail(RESULTS, Fault::Wait(wait));
    backend.give("ECHO", "{}", LONG);
    let (worker, mut seen) = run(&backend, settings(8));
    backend.report().await;
    // While that request waits, five more gather: one of them is too long.
    let long = backend.give("ECHO", "[1111111111111111111111]", LONG);
    let short: Vec<TaskId> = (0..4).map(|_| backend.give("PROBE", "{}", LONG)).collect();
    for _ in &short {
        seen.begun().await;
    }
    seen.end(short.len());
    for _ in &short {
        seen.dropped().await;
    }
    go.send(()).unwrap();
    assert_eq!(backend.reports().await.len(), 5, "they go together");
    // What the last request that named a task said of it is what was accepted.
    let mut accepted: HashMap<TaskId, String> = HashMap::new();
    while backend.open() > 0 {
        for report in backend.reports().await {
            accepted.insert(report.id, said(&report).to_owned());
        }
    }
    assert!(accepted[&long].starts_with("RESULT_REFUSED"), "{accepted:?}");
    assert!(short.iter().all(|id| accepted[id] == "\"ended\""), "{accepted:?}");
    worker.stopped().await;
}

#[tokio::test]
async fn a_report_over_which_the_backend_breaks_holds_up_no_other() {
    let mut backend = Backend::start();
    let bad = backend.give("ECHO", "[]", LONG);
    backend.break_over(Some(bad));
    let (worker, _) = run(&backend, settings(8));
    assert_eq!(backend.report().await.id, bad);
    let good: Vec<TaskId> = (0..20).map(|_| backend.give("ECHO", "{}", LONG)).collect();
    let mut accepted: Vec<TaskId> = Vec::new();
    while !good.iter().all(|id| accepted.contains(id)) {
        let reports = backend.reports().await;
        if reports.iter().all(|report| report.id != bad) {
            accepted.extend(reports.iter().map(|report| report.id));
        }
    }
    backend.break_over(None);
    while backend.reports().await.iter().all(|report| report.id != bad) {}
    worker.stopped().await;
    assert_eq!(backend.open(), 0, "it was not given up");
}

#[tokio::test]
async fn a_result_that_no_server_reads_is_a_failure() {
    let mut backend = Backend::start();
    backend.give("ECHO", &format!("\"{}\"", "x".repeat(8 << 20)), LONG);
    let (worker, _) = run(&backend, settings(1));
    let expected = "RESULT_TOO_LARGE: 8388610 bytes, and 8388608 are the most";
    assert_eq!(said(&backend.report().await), expected);
    worker.stopped().await;
}

#[tokio::test]
async fn unreported_results_are_bounded() {
    let mut backend = Backend::start();
    for _ in 0..5 {
        backend.fail(RESULTS, Fault::Unavailable);
    }
    let mut left: Vec<TaskId> = (0..30).map(|_| backend.give("ECHO", "{}", LONG)).collect();
    let (worker, _) = run(&backend, settings(1));
    while !left.is_empty() {
        for report in backend.reports().await {
            left.retain(|id| *id != report.id);
        }
    }
    let most = backend.most_open();
    assert_eq!(most, 10, "ten results per slot may wait when more is asked for");
    worker.stopped().await;
}
