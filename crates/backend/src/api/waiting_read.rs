//! Reads a task for a request that waits: until the task has ended, or until it is as awaited.

use domain::{OwnerId, Task, TaskId};
use tokio::time::{Instant, timeout};

use crate::app::AppState;
use crate::error::ApiError;

/// The owner's task: at once, or when it has ended, but not later than `wait_until` and the stop of the service.
pub(crate) async fn read_when_ended(
    app: &AppState,
    owner: OwnerId,
    id: TaskId,
    wait_until: Option<Instant>,
) -> Result<Task, ApiError> {
    read_when(app, owner, id, wait_until, |task| task.status.is_final()).await
}

/// The owner's task when it is as awaited. The end of the task is noticed at once, other changes by the periodic check.
pub(crate) async fn read_when(
    app: &AppState,
    owner: OwnerId,
    id: TaskId,
    wait_until: Option<Instant>,
    is_awaited: impl Fn(&Task) -> bool,
) -> Result<Task, ApiError> {
    let read = async || app.store.get(owner, id).await?.ok_or(ApiError::NoTask);
    let Some(wait_until) = wait_until else { return read().await };
    loop {
        let ended = app.notifier.subscribe_to_end(id);
        let task = read().await?;
        let left = wait_until.saturating_duration_since(Instant::now());
        if is_awaited(&task) || left.is_zero() || app.stop.is_cancelled() {
            return Ok(task);
        }
        tracing::trace!(task.id = %id, "a request waits for the end of its task");
        tokio::select! {
            _ = timeout(left.min(app.settings.slow_check), ended) => {}
            () = app.stop.cancelled() => {}
        }
    }
}
