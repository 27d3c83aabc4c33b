//! Delivers grants to the requests that they are meant for, and handles what cannot be delivered.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{AttemptOutcome, ClaimId, Grant, Report};
use futures_util::future::join_all;
use store::{AttributedReport, Store};
use telemetry::error_chain;

use crate::lifecycle::claim::{TimedGrant, grants_under_claim};
use crate::lifecycle::settle::Settler;
use crate::long_poll::waiting_request::{WaitError, WaitingRequest};

/// What became of the requests of one query.
#[derive(Debug, Default)]
pub(super) struct Delivery {
    /// Requests that got nothing and go on waiting.
    pub(super) unserved: Vec<WaitingRequest>,
    /// Requests that repeat another one, whose claim has grants already.
    pub(super) duplicates: Vec<WaitingRequest>,
    /// Grants whose request has been dropped by its worker.
    pub(super) undelivered: Vec<TimedGrant>,
}

/// Answers each of `requests` with the grants of its claim. `refused`: the claims that have grants already.
pub(super) fn deliver(
    requests: Vec<WaitingRequest>,
    granted: Vec<TimedGrant>,
    refused: &[ClaimId],
) -> Delivery {
    let mut by_claim: HashMap<ClaimId, Vec<TimedGrant>> = HashMap::new();
    for granted in granted {
        by_claim.entry(granted.grant.claim).or_default().push(granted);
    }
    let mut delivery = Delivery::default();
    for mut request in requests {
        let claim = request.pull.claim;
        match by_claim.remove(&claim) {
            Some(tasks) => delivery.undelivered.extend(request.answer_with(tasks)),
            None if refused.contains(&claim) => delivery.duplicates.push(request),
            None => {
                // The next query is not the request's first.
                request.pull.is_first_look = false;
                delivery.unserved.push(request);
            }
        }
    }
    delivery
}

/// Answers requests that repeat others, here or at another Backend, with what was granted to those. If that is not
/// committed yet, the answer is [`WaitError::Duplicate`]: the worker repeats the request once more, and finds it then.
pub(super) async fn answer_duplicates(store: &Store, duplicates: Vec<WaitingRequest>) {
    for request in duplicates {
        match grants_under_claim(store, &request.pull.worker, request.pull.claim).await {
            Ok(granted) if granted.is_empty() => request.fail(WaitError::Duplicate),
            // If the worker has disconnected, the grants stay: a worker that repeats a request will repeat it once more.
            Ok(granted) => drop(request.answer_with(granted)),
            Err(error) => request.fail(WaitError::Query(Arc::new(error))),
        }
    }
}

/// Releases what was granted to requests that their workers have dropped.
pub(super) async fn release_undelivered(settler: &Settler, undelivered: Vec<TimedGrant>) {
    let releases = undelivered.into_iter().map(|TimedGrant { grant, worker, .. }| {
        let Grant { id, type_name, attempt, claim, trace, .. } = grant;
        let reported = AttemptOutcome::Released;
        let report = Report { id, type_name, attempt, claim, reported, retry: None, trace };
        settler.settle(AttributedReport { worker, subject: None, report })
    });
    for error in join_all(releases).await.into_iter().filter_map(Result::err) {
        tracing::warn!(error = %error_chain(&error), "a grant whose worker had disconnected could not be released");
    }
}
