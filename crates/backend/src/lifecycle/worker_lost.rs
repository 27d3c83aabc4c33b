//! Ends the tasks of workers that are gone.

use std::time::Duration;

use database::DatabaseError;
use domain::WorkerName;
use store::Store;

use crate::lifecycle::announce_ended::announce_ended;
use crate::notify::notifier::Notifier;

/// Cancels the tasks of workers that have sent heartbeats and then none for `silence`.
pub(crate) async fn end_tasks_of_silent_workers(
    store: &Store,
    notifier: &Notifier,
    silence: Duration,
) -> Result<(), DatabaseError> {
    let ended = store.end_tasks_of_silent_workers(silence).await?;
    if !ended.is_empty() {
        tracing::warn!(tasks = ended.len(), "workers stopped sending heartbeats; their tasks are cancelled");
    }
    announce_ended(notifier, &ended);
    Ok(())
}

/// Cancels the tasks that were granted to a worker before its process restarted.
pub(crate) async fn end_tasks_of_restarted_worker(
    store: &Store,
    notifier: &Notifier,
    worker: &WorkerName,
) -> Result<(), DatabaseError> {
    let ended = store.end_tasks_of_worker(worker).await?;
    if !ended.is_empty() {
        tracing::warn!(worker.name = %worker, tasks = ended.len(), "a worker has restarted; the tasks of its previous process are cancelled");
    }
    announce_ended(notifier, &ended);
    Ok(())
}
