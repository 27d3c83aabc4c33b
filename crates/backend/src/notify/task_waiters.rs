//! Who waits for the end of a task, and how it hears of it.

use std::collections::HashMap;
use std::sync::Mutex;

use domain::TaskId;
use tokio::sync::oneshot;

/// Everyone who waits, by task.
#[derive(Debug, Default)]
pub(crate) struct TaskWaiters {
    waiting: Mutex<HashMap<TaskId, Vec<oneshot::Sender<()>>>>,
}

impl TaskWaiters {
    /// Rings once when `task` ends. Ask before looking at the task: an end in between is then heard.
    pub(crate) fn on(&self, task: TaskId) -> oneshot::Receiver<()> {
        let (bell, rings) = oneshot::channel();
        let mut waiting = self.waiting.lock().expect("no panic while it is held");
        let bells = waiting.entry(task).or_default();
        bells.retain(|bell| !bell.is_closed());
        bells.push(bell);
        rings
    }

    /// These tasks have ended.
    pub(crate) fn ended(&self, tasks: &[TaskId]) {
        let mut waiting = self.waiting.lock().expect("no panic while it is held");
        for task in tasks {
            for bell in waiting.remove(task).into_iter().flatten() {
                bell.send(()).ok();
            }
        }
    }

    /// Any of them may have ended: all who wait look for themselves.
    pub(crate) fn all(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().expect("no panic while it is held"));
        for bell in waiting.into_values().flatten() {
            bell.send(()).ok();
        }
    }

    /// Forgets those who have hung up.
    pub(crate) fn tidy(&self) {
        self.waiting.lock().expect("no panic while it is held").retain(|_, bells| {
            bells.retain(|bell| !bell.is_closed());
            !bells.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn everyone_who_waits_for_a_task_hears_of_its_end_and_nobody_else() {
        let watch = TaskWaiters::default();
        let [ended, other] = [1, 2].map(|task| TaskId(Uuid::from_u128(task)));
        let (first, second, mut third) = (watch.on(ended), watch.on(ended), watch.on(other));
        watch.ended(&[ended]);
        assert!(first.await.is_ok() && second.await.is_ok());
        assert!(third.try_recv().is_err());
        drop(third);
        watch.tidy();
        assert!(watch.waiting.lock().unwrap().is_empty(), "who has hung up is forgotten");
    }
}
