//! Tasks are claimed for free slots only, and a lost answer loses no grant.

use std::time::{Duration, Instant};

use domain::{AttemptOutcome, ClaimTarget};

use crate::kit::probe_operation::{LONG_TTL, run_worker, settings};
use crate::kit::scripted_backend::{Backend, CLAIMS, Fault};

/// The slots of a pull.
fn slots(request: &domain::ClaimRequest) -> u32 {
    match &request.wanted {
        ClaimTarget::Pull(pull) => pull.slots,
        ClaimTarget::Ids(_) => panic!("a worker without Kafka pulls"),
    }
}

#[tokio::test]
async fn a_claim_request_whose_answer_was_lost_is_repeated_under_the_same_claim_id() {
    let mut backend = Backend::start();
    for fault in [Fault::ConnectionClosed, Fault::Unavailable, Fault::Problem(500), Fault::ConnectionClosed] {
        backend.fail(CLAIMS, fault);
    }
    let id = backend.add_task("ECHO", "[1]", LONG_TTL);
    let (worker, _) = run_worker(&backend, settings(4));
    let first = backend.claim_request().await;
    for _ in 0..4 {
        assert_eq!(backend.claim_request().await, first);
    }
    let report = backend.report().await;
    assert_eq!((report.id, report.claim), (id, first.claim));
    let next = backend.add_task("ECHO", "[2]", LONG_TTL);
    let report = backend.report().await;
    assert_eq!(report.id, next, "the first task has run once");
    assert_ne!(report.claim, first.claim);
    worker.stopped().await;
}

#[tokio::test]
async fn slots_are_never_exceeded() {
    let mut backend = Backend::start();
    for _ in 0..10 {
        backend.add_task("PROBE", "{}", LONG_TTL);
    }
    let (worker, mut probe) = run_worker(&backend, settings(3));
    assert_eq!(slots(&backend.claim_request().await), 3);
    let mut running = 0;
    for left in (0..10).rev() {
        probe.started().await;
        running += 1;
        if running == 3 || left < 3 {
            assert!(running <= 3);
            assert!(probe.started.try_recv().is_err(), "a fourth task has started");
            probe.let_return(1);
            probe.dropped().await;
            running -= 1;
        }
    }
    worker.stopped().await;
}

/// The Backend accepts no claim request for more than a thousand slots.
#[tokio::test]
async fn a_worker_with_more_slots_than_one_claim_may_name_claims_again_for_the_rest() {
    let mut backend = Backend::start();
    for _ in 0..1200 {
        backend.add_task("PROBE", "{}", LONG_TTL);
    }
    let (worker, mut probe) = run_worker(&backend, settings(1500));
    assert_eq!(slots(&backend.claim_request().await), 1000);
    for _ in 0..1200 {
        probe.started().await;
    }
    assert_eq!(slots(&backend.claim_request().await), 500);
    worker.stopped().await;
}

#[tokio::test]
async fn a_grant_without_a_slot_is_released() {
    let mut backend = Backend::start();
    backend.ignore_slots();
    let added: Vec<_> = (0..3).map(|_| backend.add_task("PROBE", "{}", LONG_TTL)).collect();
    let (worker, mut probe) = run_worker(&backend, settings(2));
    let report = backend.report().await;
    assert_eq!((report.id, report.reported), (added[2], AttemptOutcome::Released));
    let started = [probe.started().await.task(), probe.started().await.task()];
    assert!(started.contains(&added[0]) && started.contains(&added[1]));
    worker.stopped().await;
}

#[tokio::test]
async fn a_slot_stays_empty_for_the_delay_between_tasks() {
    let mut backend = Backend::start();
    backend.add_task("PROBE", "{}", LONG_TTL);
    let delay = Duration::from_millis(300);
    let (worker, mut probe) =
        run_worker(&backend, worker::Settings { delay_between_tasks: delay, ..settings(1) });
    backend.claim_request().await;
    probe.started().await;
    let ended = Instant::now();
    probe.let_return(1);
    backend.claim_request().await;
    assert!(ended.elapsed() >= delay);
    worker.stopped().await;
}
