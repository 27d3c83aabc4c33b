//! Requests that wait for the end of a task, by task.

use parking_lot::Mutex;
use std::collections::HashMap;

use domain::TaskId;
use tokio::sync::oneshot;

/// The requests that wait at this Backend.
#[derive(Debug, Default)]
pub(crate) struct TaskWaiters {
    by_task: Mutex<HashMap<TaskId, Vec<oneshot::Sender<()>>>>,
}

impl TaskWaiters {
    /// A receiver that is woken once when `task` ends. Subscribe before reading the task: then an end between the two is
    /// not missed.
    pub(crate) fn subscribe(&self, task: TaskId) -> oneshot::Receiver<()> {
        let (waiter, woken) = oneshot::channel();
        let mut by_task = self.by_task.lock();
        let waiters = by_task.entry(task).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        waiters.push(waiter);
        woken
    }

    /// Wakes the requests that wait for these tasks.
    pub(crate) fn wake(&self, tasks: &[TaskId]) {
        let mut by_task = self.by_task.lock();
        for task in tasks {
            for waiter in by_task.remove(task).into_iter().flatten() {
                waiter.send(()).ok();
            }
        }
    }

    /// Wakes every request: any task may have ended, so each must read its own.
    pub(crate) fn wake_all(&self) {
        let by_task = std::mem::take(&mut *self.by_task.lock());
        for waiter in by_task.into_values().flatten() {
            waiter.send(()).ok();
        }
    }

    /// Drops the entries of requests that wait no more.
    pub(crate) fn drop_closed(&self) {
        self.by_task.lock().retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn the_end_of_a_task_wakes_those_who_wait_for_it_and_nobody_else() {
        let waiters = TaskWaiters::default();
        let [ended, other] = [1, 2].map(|task| TaskId(Uuid::from_u128(task)));
        let (first, second, mut third) =
            (waiters.subscribe(ended), waiters.subscribe(ended), waiters.subscribe(other));
        waiters.wake(&[ended]);
        assert!(first.await.is_ok() && second.await.is_ok());
        assert!(third.try_recv().is_err());
        drop(third);
        waiters.drop_closed();
        assert!(waiters.by_task.lock().is_empty(), "a closed waiter leaves no entry");
    }
}
