//! Whose a worker's name is: heartbeats take it, and claims are made under it.

use domain::{Heartbeat, WorkerProcess};
use store::{MAX_WORKERS_OF_SUBJECT, NameOwner, Store};

use crate::error::ApiError;
use crate::lifecycle::worker_lost::end_tasks_of_earlier_processes;
use crate::notify::notifier::Notifier;

/// Stores a heartbeat of `process`, and ends the tasks of earlier processes of its name. Fails if the name is another process's, or
/// if the account or client has as many workers as it may have.
pub(crate) async fn heartbeat(
    store: &Store,
    notifier: &Notifier,
    process: &WorkerProcess,
    heartbeat: &Heartbeat,
) -> Result<(), ApiError> {
    let Heartbeat { slots, types, stop_means, .. } = heartbeat;
    if !store.heartbeat(process, *slots, types, stop_means).await? {
        check_name(store, process).await?;
        if store.has_max_workers(process.subject).await? {
            return Err(ApiError::TooManyWorkers { limit: MAX_WORKERS_OF_SUBJECT });
        }
        // The name has just become free, or waits until the tasks of a lost worker have ended.
        return Err(ApiError::WorkerNameTaken { name: process.name.clone(), since: None });
    }
    Ok(end_tasks_of_earlier_processes(store, notifier, process).await?)
}

/// Fails if the name of `process` belongs to another one. A name under which no worker sends heartbeats is anyone's.
pub(crate) async fn check_name(store: &Store, process: &WorkerProcess) -> Result<(), ApiError> {
    match store.name_owner(&process.name).await? {
        Some(NameOwner { process: other, since }) if other != *process => {
            let since = (other.subject == process.subject).then_some(since);
            Err(ApiError::WorkerNameTaken { name: other.name, since })
        }
        _ => Ok(()),
    }
}
