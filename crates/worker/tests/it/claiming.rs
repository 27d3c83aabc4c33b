//! Work is taken for free slots only, and no grant is lost with its answer.

use std::time::{Duration, Instant};

use domain::{ClaimTarget, ReportOutcome};

use crate::kit::probe_operation::{LONG, run, settings};
use crate::kit::scripted_backend::{ASKS, Backend, Fault};

fn slots(ask: &domain::ClaimRequest) -> u32 {
    match ask.wanted {
        ClaimTarget::Pull { slots, .. } => slots,
        ClaimTarget::Ids(_) => panic!("these workers pull"),
    }
}

#[tokio::test]
async fn an_ask_whose_answer_was_lost_is_repeated_under_the_same_claim() {
    let mut backend = Backend::start();
    for fault in [Fault::Cut, Fault::Unavailable, Fault::Problem(500), Fault::Cut] {
        backend.fail(ASKS, fault);
    }
    let id = backend.give("ECHO", "[1]", LONG);
    let (worker, _) = run(&backend, settings(4));
    let first = backend.ask().await;
    for _ in 0..4 {
        assert_eq!(backend.ask().await, first);
    }
    let report = backend.report().await;
    assert_eq!((report.id, report.claim), (id, first.claim));
    let next = backend.give("ECHO", "[2]", LONG);
    let report = backend.report().await;
    assert_eq!(report.id, next, "and the first task has run once");
    assert_ne!(report.claim, first.claim);
    worker.stopped().await;
}

#[tokio::test]
async fn slots_are_never_exceeded() {
    let mut backend = Backend::start();
    for _ in 0..10 {
        backend.give("PROBE", "{}", LONG);
    }
    let (worker, mut seen) = run(&backend, settings(3));
    assert_eq!(slots(&backend.ask().await), 3);
    let mut running = 0;
    for left in (0..10).rev() {
        seen.begun().await;
        running += 1;
        if running == 3 || left < 3 {
            assert!(running <= 3);
            assert!(seen.begun.try_recv().is_err(), "a fourth has begun");
            seen.end(1);
            seen.dropped().await;
            running -= 1;
        }
    }
    worker.stopped().await;
}

/// The Backend takes no ask for more than a thousand.
#[tokio::test]
async fn a_worker_with_more_slots_than_one_ask_may_name_asks_again_for_the_rest() {
    let mut backend = Backend::start();
    for _ in 0..1200 {
        backend.give("PROBE", "{}", LONG);
    }
    let (worker, mut seen) = run(&backend, settings(1500));
    assert_eq!(slots(&backend.ask().await), 1000);
    for _ in 0..1200 {
        seen.begun().await;
    }
    assert_eq!(slots(&backend.ask().await), 500);
    worker.stopped().await;
}

#[tokio::test]
async fn what_was_not_asked_for_is_handed_back() {
    let mut backend = Backend::start();
    backend.be_generous();
    let given: Vec<_> = (0..3).map(|_| backend.give("PROBE", "{}", LONG)).collect();
    let (worker, mut seen) = run(&backend, settings(2));
    let report = backend.report().await;
    assert_eq!((report.id, report.reported), (given[2], ReportOutcome::Released));
    let begun = [seen.begun().await.task(), seen.begun().await.task()];
    assert!(begun.contains(&given[0]) && begun.contains(&given[1]));
    worker.stopped().await;
}

#[tokio::test]
async fn a_slot_rests_between_tasks() {
    let mut backend = Backend::start();
    backend.give("PROBE", "{}", LONG);
    let delay = Duration::from_millis(300);
    let (worker, mut seen) = run(&backend, worker::Settings { delay_between_tasks: delay, ..settings(1) });
    backend.ask().await;
    seen.begun().await;
    let ended = Instant::now();
    seen.end(1);
    backend.ask().await;
    assert!(ended.elapsed() >= delay);
    worker.stopped().await;
}
