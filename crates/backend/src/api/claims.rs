//! A worker asks for work: the original's PATCH for one task, or an ask for several that may wait.

use std::time::Duration;

use axum::Json as Body;
use axum::extract::State;
use axum::http::HeaderMap;
use domain::{ClaimId, ClaimRequest, ClaimResponse, ClaimTarget, TaskId, WorkerName};
use serde::{Deserialize, Serialize};
use store::{ClaimById, PullRequest};
use tokio::time::Instant;

use crate::api::extract::prefer::Prefer;
use crate::api::middleware::normalize_path::{Id, QueryParams};
use crate::api::middleware::timeout::RequestBody;
use crate::api::task_body::read;
use crate::app::{App, TimedGrant};
use crate::auth::token_verifier::WorkerCaller;
use crate::error::ApiError;
use crate::long_poll::queue;

/// The most tasks that one ask may name or take.
const MOST: usize = 1000;

/// The greatest age that a pull may ask for, in milliseconds.
const OLDEST: u64 = 60_000;

/// The original's query.
#[derive(Debug, Deserialize)]
pub(crate) struct PatchQuery {
    #[serde(rename = "workerName", alias = "WorkerName", alias = "workername")]
    worker: Option<String>,
}

/// A yes: the worker's name, or the grant itself if that was preferred.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum Permission {
    /// The name of the worker that may run the task.
    Name(WorkerName),
    /// The grant, with all that a report needs.
    Grant(ClaimResponse),
}

/// Asks for permission to run one task. 200 with the worker's name: it is yours, also when you ask again. 409: it is not.
/// `Prefer: return=representation` answers with the grant, whose claim a report needs.
#[utoipa::path(patch, path = "/api/Task/request/{id}", tag = "Service", security(("bearer" = [])),
    params(("id" = TaskId, Path), ("workerName" = WorkerName, Query),
        ("Prefer" = Option<String>, Header, description = "`return=representation`")),
    responses((status = 200, body = Permission, description = "The task is this worker's"),
        (status = 400, description = "Not an id, or no worker's name"), (status = 404, description = "No such task"),
        (status = 409, description = "It is another worker's, or it has ended")))]
pub(crate) async fn patch(
    State(app): State<App>,
    _: WorkerCaller,
    Id(id): Id,
    QueryParams(query): QueryParams<PatchQuery>,
    prefer: Prefer,
) -> Result<(HeaderMap, Body<Permission>), ApiError> {
    let arrived = Instant::now();
    // What was no UTF-8 would make two workers one.
    let name = query.worker.filter(|name| !name.contains('\u{fffd}'));
    let name = name.ok_or_else(|| ApiError::Malformed("workerName is missing from the query".to_owned()))?;
    let worker: WorkerName =
        name.parse().map_err(|_| ApiError::Malformed(format!("workerName: {}", WorkerName::RULE)))?;
    let ask = ClaimById { id, claim: ClaimId::random(), worker: worker.clone(), by_name: true };
    let Some(claimed) = app.claim.put(ask).await? else {
        if !app.store.exists(id).await? {
            return Err(ApiError::NoTask);
        }
        tracing::info!(target: "audit", { audit.event = "claim_refused", task.id = %id, worker.name = %worker }, "task {id} was not granted to {worker}");
        return Err(ApiError::NotGranted);
    };
    let prefer = Prefer { wait: None, ..prefer };
    let permission = if prefer.representation {
        Permission::Grant(grants(arrived, vec![claimed]))
    } else {
        Permission::Name(worker)
    };
    Ok((prefer.applied(), Body(permission)))
}

/// Asks for certain tasks, or for whatever waits of certain types; an ask for types may be held until there is work. Asked
/// again with the same claim, the answer is what still runs under it.
#[utoipa::path(post, path = "/api/Task/request", tag = "Service", security(("bearer" = [])), request_body = ClaimRequest,
    responses((status = 200, body = ClaimResponse, description = "What was granted; possibly nothing"),
        (status = 400, description = "The body is not JSON"), (status = 413, description = "The body is too large"),
        (status = 422, description = "A rule is broken; `errors` says which and where")))]
pub(crate) async fn request(
    State(app): State<App>,
    _: WorkerCaller,
    RequestBody(body): RequestBody,
) -> Result<Body<ClaimResponse>, ApiError> {
    let arrived = Instant::now();
    let ClaimRequest { claim, worker, wanted, wait_ms, declined } = read(&body)?;
    if declined.len() > MOST {
        return Err(ApiError::invalid("too-many-declined", "/declined", format!("at most {MOST} ids")));
    }
    if !declined.is_empty() {
        // Whoever holds an ask for their types may have them; the others hear of them again.
        tracing::debug!(worker.name = %worker, tasks = declined.len(), "a worker was offered tasks that it does not run");
        app.bells.notify_any_ready();
    }
    match wanted {
        ClaimTarget::Ids(ids) if ids.is_empty() && !declined.is_empty() => {
            Ok(Body(grants(arrived, Vec::new())))
        }
        ClaimTarget::Ids(ids) => {
            let mut ids = ids;
            ids.sort_unstable();
            ids.dedup();
            if ids.is_empty() || ids.len() > MOST {
                return Err(ApiError::invalid("ids-out-of-range", "/wanted/ids", format!("1 to {MOST} ids")));
            }
            let asks = ids
                .into_iter()
                .map(|id| app.claim.put(ClaimById { id, claim, worker: worker.clone(), by_name: false }));
            let claimed = futures_util::future::try_join_all(asks).await?;
            Ok(Body(grants(arrived, claimed.into_iter().flatten().collect())))
        }
        ClaimTarget::Pull { types, slots, min_age_ms } => {
            let most = u32::try_from(MOST).expect("a thousand");
            if !(1..=MOST).contains(&types.len()) || !(1..=most).contains(&slots) {
                let rule = format!("1 to {MOST} types, and 1 to {most} slots");
                return Err(ApiError::invalid("pull-out-of-range", "/wanted/pull", rule));
            }
            if min_age_ms > OLDEST {
                let rule = format!("0 to {OLDEST} milliseconds");
                return Err(ApiError::invalid("min-age-out-of-range", "/wanted/pull/minAgeMs", rule));
            }
            // No longer than half the silence that loses a worker: what a host that has died still asks for is granted
            // to it in vain.
            let longest = queue::LONGEST.min(app.settings.worker_lost / 2);
            let until = arrived + Duration::from_millis(wait_ms).min(longest);
            let puller = PullRequest { claim, worker: worker.clone(), slots, is_first_look: true };
            let age = Duration::from_millis(min_age_ms);
            let mut claimed = app.pulls.ask(puller, types, age, until).await?;
            if claimed.is_empty() {
                // Nothing is no answer while something runs: another Backend may still have held the same ask.
                claimed = queue::held(&app.store, &worker, claim).await?;
            }
            Ok(Body(grants(arrived, claimed)))
        }
    }
}

/// The answer to an ask. Grants of several statements share the earliest moment: no worker's end is ever too late.
fn grants(arrived: Instant, claimed: Vec<TimedGrant>) -> ClaimResponse {
    let sent = claimed.iter().map(|claimed| claimed.sent).min().unwrap_or(arrived);
    let held = sent.saturating_duration_since(arrived).as_millis();
    ClaimResponse {
        held_ms: u64::try_from(held).unwrap_or(0),
        tasks: claimed.into_iter().map(|claimed| claimed.grant).collect(),
    }
}
