//! Cancels tasks for their owner, or for an administrator.

use std::time::Duration;

use database::DatabaseError;
use domain::{BulkCancellation, OwnerId, PageRequest, SubjectId, TaskFilter, TaskId, TaskOrder};
use store::{CANCEL_BATCH_SIZE, Page, Store};
use tokio::time::Instant;

use crate::lifecycle::announce_ended::announce_ended;
use crate::notify::notifier::Notifier;

/// How long one request cancels tasks, and how many at most.
const MAX_TIME: Duration = Duration::from_secs(5);
const MAX_TASKS: u64 = 10_000;

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

/// Cancels the owner's unfinished tasks that `filter` passes, the oldest first, batch by batch, until there are no more or the
/// request has done its share.
pub(crate) async fn cancel_matching(
    store: &Store,
    notifier: &Notifier,
    owner: OwnerId,
    filter: &TaskFilter,
) -> Result<BulkCancellation, DatabaseError> {
    let began = Instant::now();
    let mut page = PageRequest { order: TaskOrder::Oldest, ..PageRequest::newest(CANCEL_BATCH_SIZE) };
    let mut cancelled = 0;
    loop {
        let Page { tasks: ended, next } = store.cancel_matching(owner, filter, page).await?;
        if !ended.is_empty() {
            let tasks = ended.len();
            tracing::info!(target: "audit", { audit.event = "tasks_cancelled", tasks, owner.id = %owner }, "{owner} cancelled {tasks} tasks by conditions");
        }
        announce_ended(notifier, &ended);
        cancelled += ended.len() as u64;
        let Some(next) = next else { return Ok(BulkCancellation { cancelled, has_more: false }) };
        if cancelled >= MAX_TASKS || began.elapsed() >= MAX_TIME {
            return Ok(BulkCancellation { cancelled, has_more: true });
        }
        page = page.next_page(next);
    }
}

/// Cancels the task, whoever owns it, if it has not ended; otherwise does nothing.
pub(crate) async fn cancel_as_admin(
    store: &Store,
    notifier: &Notifier,
    admin: SubjectId,
    id: TaskId,
) -> Result<(), DatabaseError> {
    let ended = store.cancel_as_admin(admin, id).await?;
    if ended.is_some() {
        tracing::info!(target: "audit", { audit.event = "task_cancelled_by_admin", task.id = %id, account.id = %admin }, "the administrator {admin} cancelled task {id}");
    }
    announce_ended(notifier, ended.as_slice());
    Ok(())
}
