//! Reports are retried until settled, failures carry a text, and a refused report does not affect the others.

use std::collections::HashMap;

use domain::{AttemptOutcome, Report, TaskId};
use tokio::sync::oneshot;

use crate::kit::probe_operation::{LONG_TTL, run_worker, settings};
use crate::kit::scripted_backend::{Backend, Fault, RESULTS};

/// The payload of a report, as text.
fn payload(report: &Report) -> &str {
    match &report.reported {
        AttemptOutcome::Result(result) => result.text(),
        AttemptOutcome::Error(text) => text,
        AttemptOutcome::Released => "released",
    }
}

#[tokio::test]
async fn a_result_is_repeated_until_it_is_accepted() {
    let mut backend = Backend::start();
    let refusals = [Fault::Problem(403), Fault::Problem(421)];
    for fault in
        [Fault::Unavailable, Fault::ConnectionClosed].into_iter().chain(refusals).chain([Fault::Unavailable])
    {
        backend.fail(RESULTS, fault);
    }
    let id = backend.add_task("ECHO", r#"{ "big": 9223372036854775807, "e": 1.0e2 }"#, LONG_TTL);
    let (worker, _) = run_worker(&backend, settings(1));
    for _ in 0..6 {
        let report = backend.report().await;
        assert_eq!(report.id, id);
        assert_eq!(payload(&report), r#"{ "big": 9223372036854775807, "e": 1.0e2 }"#, "byte for byte");
    }
    let next = backend.add_task("ECHO", "{}", LONG_TTL);
    assert_eq!(backend.report().await.id, next, "a settled report is not repeated");
    worker.stopped().await;
}

#[tokio::test]
async fn a_failure_and_a_panic_are_reported_with_their_texts_and_the_worker_goes_on() {
    let mut backend = Backend::start();
    backend.add_task("FAILING", r#"{"panics":false}"#, LONG_TTL);
    let (worker, _) = run_worker(&backend, settings(1));
    assert_eq!(payload(&backend.report().await), "the kettle is broken");
    backend.add_task("FAILING", r#"{"panics":true}"#, LONG_TTL);
    assert_eq!(payload(&backend.report().await), "the operation panicked: the kettle is cold");
    backend.add_task("ECHO", "[]", LONG_TTL);
    assert_eq!(payload(&backend.report().await), "[]");
    worker.stopped().await;
}

#[tokio::test]
async fn parameters_are_checked_against_the_schema_of_the_worker() {
    let mut backend = Backend::start();
    let (worker, _) = run_worker(&backend, settings(1));
    for (name, parameters, begins) in [
        ("GENERATE_LOGIN", r#"{"length":0}"#, "PARAMETERS_REFUSED: /length: 0 is less than the minimum of 1"),
        ("GENERATE_LOGIN", r#"{"lenght":9}"#, "PARAMETERS_REFUSED: there is no member \"lenght\""),
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
        backend.add_task(name, parameters, LONG_TTL);
        let report = backend.report().await;
        assert!(payload(&report).starts_with(begins), "{name} {parameters}: {}", payload(&report));
    }
    worker.stopped().await;
}

#[tokio::test]
async fn a_result_is_checked_against_the_schema_that_the_worker_registers() {
    let mut backend = Backend::start();
    let (worker, _) = run_worker(&backend, settings(1));
    backend.add_task("MISDECLARED", "{}", LONG_TTL);
    assert_eq!(payload(&backend.report().await), "RESULT_INVALID: \"many\" is not of type \"number\"");
    worker.stopped().await;
}

#[tokio::test]
async fn absent_parameters_mean_the_defaults() {
    let mut backend = Backend::start();
    let (worker, _) = run_worker(&backend, settings(1));
    backend.add_task("GENERATE_LOGIN", "null", LONG_TTL);
    assert_eq!(payload(&backend.report().await).len(), 12, "ten characters and two quotes");
    backend.add_task("GENERATE_NUMBER", "{}", LONG_TTL);
    assert_eq!(payload(&backend.report().await).parse::<u64>().unwrap().ilog10(), 7, "eight digits");
    worker.stopped().await;
}

#[tokio::test]
async fn a_refused_result_is_reported_as_a_failure_and_does_not_affect_other_reports() {
    let mut backend = Backend::start();
    backend.limit_results(10);
    let (proceed, signal) = oneshot::channel();
    backend.fail(RESULTS, Fault::DelayedUntil(signal));
    backend.add_task("ECHO", "{}", LONG_TTL);
    let (worker, mut probe) = run_worker(&backend, settings(8));
    backend.report().await;
    // While that request is in flight, five more reports are added; one of them is too long.
    let long = backend.add_task("ECHO", "[1111111111111111111111]", LONG_TTL);
    let short: Vec<TaskId> = (0..4).map(|_| backend.add_task("PROBE", "{}", LONG_TTL)).collect();
    for _ in &short {
        probe.started().await;
    }
    probe.let_return(short.len());
    for _ in &short {
        probe.dropped().await;
    }
    proceed.send(()).unwrap();
    assert_eq!(backend.reports().await.len(), 5, "they are sent in one batch");
    // The last report about each task is the one that was accepted.
    let mut accepted: HashMap<TaskId, String> = HashMap::new();
    let is_refused = |text: &String| text.starts_with("RESULT_REFUSED");
    while !(accepted.get(&long).is_some_and(is_refused) && short.iter().all(|id| accepted.contains_key(id))) {
        for report in backend.reports().await {
            accepted.insert(report.id, payload(&report).to_owned());
        }
    }
    assert!(short.iter().all(|id| accepted[id] == "\"ended\""), "{accepted:?}");
    worker.stopped().await;
    assert_eq!(backend.open_grants(), 0, "all reports were accepted");
}

#[tokio::test]
async fn a_report_on_which_the_backend_fails_holds_up_no_other() {
    let mut backend = Backend::start();
    let bad = backend.add_task("ECHO", "[]", LONG_TTL);
    backend.fail_reports_about(Some(bad));
    let (worker, _) = run_worker(&backend, settings(8));
    assert_eq!(backend.report().await.id, bad);
    let good: Vec<TaskId> = (0..20).map(|_| backend.add_task("ECHO", "{}", LONG_TTL)).collect();
    let mut accepted: Vec<TaskId> = Vec::new();
    while !good.iter().all(|id| accepted.contains(id)) {
        let reports = backend.reports().await;
        if reports.iter().all(|report| report.id != bad) {
            accepted.extend(reports.iter().map(|report| report.id));
        }
    }
    backend.fail_reports_about(None);
    while backend.reports().await.iter().all(|report| report.id != bad) {}
    worker.stopped().await;
    assert_eq!(backend.open_grants(), 0, "the failing report was not given up");
}

#[tokio::test]
async fn a_result_that_is_too_large_to_be_sent_is_a_failure() {
    let mut backend = Backend::start();
    backend.add_task("ECHO", &format!("\"{}\"", "x".repeat(8 << 20)), LONG_TTL);
    let (worker, _) = run_worker(&backend, settings(1));
    let expected = "RESULT_TOO_LARGE: the result has 8388610 bytes; at most 8388608 are kept";
    assert_eq!(payload(&backend.report().await), expected);
    worker.stopped().await;
}

#[tokio::test]
async fn unsettled_reports_are_bounded() {
    let mut backend = Backend::start();
    for _ in 0..5 {
        backend.fail(RESULTS, Fault::Unavailable);
    }
    let mut left: Vec<TaskId> = (0..30).map(|_| backend.add_task("ECHO", "{}", LONG_TTL)).collect();
    let (worker, _) = run_worker(&backend, settings(1));
    while !left.is_empty() {
        for report in backend.reports().await {
            left.retain(|id| *id != report.id);
        }
    }
    let max_open = backend.max_open_grants();
    assert_eq!(max_open, 10, "a worker claims more while at most ten reports per slot are unsettled");
    worker.stopped().await;
}
