//! The grants that a worker must stop, as the answer to its heartbeat names them.

use database::DatabaseError;
use domain::{GrantRef, WorkerProcess};
use store::{GrantWorker, Store};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::notify::notifier::Notifier;

/// Those of the grants `running` that `process` must stop. With `until`, and if there are none, waits until the process must stop
/// a grant, of these or of those that it is given meanwhile; no longer than `until`, and not after `stop`.
pub(crate) async fn grants_to_stop(
    store: &Store,
    notifier: &Notifier,
    process: &WorkerProcess,
    running: Vec<GrantRef>,
    until: Option<Instant>,
    stop: &CancellationToken,
) -> Result<Vec<GrantRef>, DatabaseError> {
    let held = until.map(|until| {
        let worker = GrantWorker { worker: process.name.clone(), subject: process.subject };
        (until, notifier.hold_heartbeat(worker))
    });
    let ended = store.grants_to_stop(process, &running).await?;
    let Some((until, stopped)) = held.filter(|_| ended.is_empty()) else { return Ok(ended) };
    drop(running);
    tracing::trace!(worker.name = %process.name, "a heartbeat of worker {} is held", process.name);
    let answer = stop.run_until_cancelled(timeout_at(until, stopped)).await;
    // Without grants: the wait is over, a later heartbeat has taken the place of this one, or the service stops.
    Ok(answer.and_then(Result::ok).and_then(Result::ok).unwrap_or_default())
}
