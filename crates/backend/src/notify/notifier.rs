//! Who hears of what has been committed: those who wait at this Backend, and the other Backends.

use domain::{TaskId, TypeName};
use store::PeerUpdate;
use tokio::sync::oneshot;

use crate::background::deadline_sweeper::DeadlineTimer;
use crate::notify::peer_outbox::PeerOutbox;
use crate::notify::ready_types::{ReadySet, ReadyTypes};
use crate::notify::task_waiters::TaskWaiters;

/// The bells. What is rung here is told to the others; what they tell rings here alone.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    ended: TaskWaiters,
    ready: ReadyTypes,
    /// For this Backend's own deadlines.
    pub(crate) alarm: DeadlineTimer,
    pub(crate) untold: PeerOutbox,
}

impl Notifier {
    /// These tasks have ended.
    pub(crate) fn ended(&self, tasks: &[TaskId]) {
        self.ended.ended(tasks);
        self.untold.ended(tasks);
    }

    /// Tasks of these types have become ready.
    pub(crate) fn ready<'a>(&self, types: impl Iterator<Item = &'a TypeName> + Clone) {
        self.ready.ring(types.clone());
        self.untold.ready(types);
    }

    /// Tasks of these types are ready still, as the others know.
    pub(crate) fn notify_ready_locally(&self, types: &[TypeName]) {
        self.ready.ring(types.iter());
    }

    /// A task has become ready, and nobody knows of which type.
    pub(crate) fn notify_any_ready(&self) {
        self.ready.ring_all();
        self.untold.notify_any_ready();
    }

    /// Another Backend has committed this.
    pub(crate) fn hear(&self, news: &PeerUpdate) {
        if news.any_ended {
            self.ended.all();
        } else if !news.ended.is_empty() {
            self.ended.ended(&news.ended);
        }
        if news.any_ready {
            self.ready.ring_all();
        } else if !news.ready.is_empty() {
            self.ready.ring(news.ready.iter());
        }
    }

    /// Rings once when `task` ends, or when it should be looked at. Ask before looking: an end in between is then heard.
    pub(crate) fn subscribe_to_end(&self, task: TaskId) -> oneshot::Receiver<()> {
        self.ended.on(task)
    }

    /// Returns when something has become ready.
    pub(crate) async fn ready_notified(&self) {
        self.ready.bell.notified().await;
    }

    /// What has become ready since the last time.
    pub(crate) fn rung(&self) -> ReadySet {
        self.ready.take()
    }

    /// Forgets those who have hung up.
    pub(crate) fn tidy(&self) {
        self.ended.tidy();
    }
}
