//! Ends the tasks of workers that are gone.

use std::time::Duration;

use database::DatabaseError;
use domain::WorkerProcess;
use store::Store;

use crate::lifecycle::announce_ended::announce_attempts;
use crate::notify::notifier::Notifier;

/// Ends the attempts of workers that have sent heartbeats and then none for `silence`.
pub(crate) async fn end_tasks_of_silent_workers(
    store: &Store,
    notifier: &Notifier,
    silence: Duration,
) -> Result<(), DatabaseError> {
    let ended = store.end_tasks_of_silent_workers(silence).await?;
    if !ended.is_empty() {
        tracing::warn!(tasks = ended.len(), "workers stopped sending heartbeats; their attempts are ended");
    }
    announce_attempts(notifier, &ended, store.now());
    Ok(())
}

/// Ends the attempts that were granted to earlier processes of the worker whose name `process` has.
pub(crate) async fn end_tasks_of_earlier_processes(
    store: &Store,
    notifier: &Notifier,
    process: &WorkerProcess,
) -> Result<(), DatabaseError> {
    let ended = store.end_tasks_of_earlier_processes(process).await?;
    if !ended.is_empty() {
        tracing::warn!(worker.name = %process.name, tasks = ended.len(), "a worker has restarted; the attempts of its previous process are ended");
    }
    announce_attempts(notifier, &ended, store.now());
    Ok(())
}
