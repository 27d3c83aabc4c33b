//! Cancels a task for its owner.

use database::DatabaseError;
use domain::{OwnerId, TaskId};
use store::Store;

use crate::lifecycle::announce_ended::announce_ended;
use crate::notify::notifier::Notifier;

/// Cancels the task if it is the owner's and has not ended; otherwise does nothing.
pub(crate) async fn cancel(
    store: &Store,
    notifier: &Notifier,
    owner: OwnerId,
    id: TaskId,
) -> Result<(), DatabaseError> {
    let ended = store.cancel(owner, &[id]).await?;
    if !ended.is_empty() {
        tracing::info!(target: "audit", { audit.event = "task_cancelled", task.id = %id, owner.id = %owner }, "{owner} cancelled task {id}");
    }
    announce_ended(notifier, &ended);
    Ok(())
}
