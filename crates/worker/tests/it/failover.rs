//! A worker with several Backends: it goes on at the next when one is gone, and only at one of the same installation.

use std::time::Duration;

use domain::{AttemptOutcome, GrantRef, InstallationId};
use uuid::Uuid;

use crate::kit::probe_operation::{LONG_TTL, run_worker_of, settings};
use crate::kit::scripted_backend::{Backend, CLAIMS, Fault, Request};

/// The periodic heartbeat is an hour away: what the worker notices, it notices by its other requests.
fn without_periodic_heartbeats(slots: u32) -> worker::Settings {
    worker::Settings { heartbeat: Duration::from_hours(1), ..settings(slots) }
}

#[tokio::test]
async fn a_worker_whose_backend_is_gone_goes_on_at_the_next_without_waiting_for_a_heartbeat() {
    let (mut first, mut second) = (Backend::start(), Backend::start());
    let running = first.add_task("PROBE", "{}", LONG_TTL);
    let (worker, mut probe) = run_worker_of(first.client_with(&[&second]), without_periodic_heartbeats(2));
    probe.started().await;
    let instance = first.heartbeat().await.instance;
    drop(first);
    let next = second.add_task("PROBE", "{}", LONG_TTL);
    probe.started().await;
    let held = loop {
        match second.request().await {
            Request::HeldHeartbeat(held) => break held,
            Request::Claim(claim) => assert_eq!(claim.instance, instance),
            _ => {}
        }
    };
    assert_eq!(held.instance, instance);
    assert!(
        held.running.contains(&GrantRef { id: running, attempt: 1 }),
        "it still runs what the first granted"
    );
    probe.let_return(2);
    let mut reported = Vec::new();
    while reported.len() < 2 {
        reported.extend(second.reports().await);
    }
    reported.sort_by_key(|report| report.id != running);
    assert_eq!(reported.iter().map(|report| report.id).collect::<Vec<_>>(), [running, next]);
    assert!(reported.iter().all(|report| matches!(report.reported, AttemptOutcome::Result(_))));
    worker.stopped().await;
}

#[tokio::test]
async fn an_answer_of_overload_does_not_make_a_worker_leave_its_backend() {
    let (mut first, second) = (Backend::start(), Backend::start());
    for _ in 0..3 {
        first.fail(CLAIMS, Fault::Unavailable);
    }
    let (worker, mut probe) = run_worker_of(first.client_with(&[&second]), settings(1));
    first.add_task("PROBE", "{}", LONG_TTL);
    probe.started().await;
    probe.let_return(1);
    first.report().await;
    worker.stopped().await;
    assert!(second.is_untouched());
}

#[tokio::test]
async fn a_worker_does_not_use_a_backend_of_another_installation() {
    let (mut first, mut third) = (Backend::start(), Backend::start());
    let foreign = Backend::start_in(InstallationId(Uuid::from_u128(2)));
    let (worker, mut probe) =
        run_worker_of(first.client_with(&[&foreign, &third]), without_periodic_heartbeats(1));
    first.claim_request().await;
    drop(first);
    foreign.add_task("PROBE", "{}", LONG_TTL);
    let mine = third.add_task("PROBE", "{}", LONG_TTL);
    assert_eq!(probe.started().await.task(), mine);
    probe.let_return(1);
    assert_eq!(third.report().await.id, mine);
    worker.stopped().await;
    assert!(foreign.is_untouched());
}

/// The first address of the list need not work when the worker starts.
#[tokio::test]
async fn a_worker_starts_at_the_first_backend_that_answers() {
    let (gone, mut backend) = (Backend::start(), Backend::start());
    let client = gone.client_with(&[&backend]);
    drop(gone);
    let (worker, _) = run_worker_of(client, settings(1));
    backend.registration().await;
    backend.heartbeat().await;
    backend.claim_request().await;
    worker.stopped().await;
}
