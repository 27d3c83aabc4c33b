//! Tells local waiters and the other Backends what was committed.

use std::sync::Arc;

use domain::{GrantRef, OwnerId, TaskEventKind, TaskId, Timestamp, TypeName};
use store::{GrantWorker, PeerUpdate, StoppedGrant, TaskChange};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::error::ApiError;
use crate::events::broadcaster::{Broadcaster, Subscription, Topic};
use crate::notify::deadline_timer::DeadlineTimer;
use crate::notify::ended_parents::EndedParents;
use crate::notify::held_heartbeats::HeldHeartbeats;
use crate::notify::peer_outbox::PeerOutbox;
use crate::notify::ready_types::{ReadySet, ReadyTypes};
use crate::notify::task_waiters::TaskWaiters;

/// Wakes local waiters and publishes the same event to the other Backends. Events that come from a peer wake local waiters
/// only, so they are not echoed.
#[derive(Debug, Default)]
pub(crate) struct Notifier {
    task_waiters: TaskWaiters,
    held_heartbeats: HeldHeartbeats,
    ready_types: ReadyTypes,
    /// The deadlines of tasks that this Backend has granted.
    pub(crate) deadline_timer: DeadlineTimer,
    /// When tasks become ready that this Backend has accepted, or whose attempts it has ended.
    pub(crate) delay_timer: DeadlineTimer,
    /// When schedules run that this Backend knows.
    pub(crate) schedule_timer: DeadlineTimer,
    /// Tasks that have ended, for the tasks that wait for them.
    pub(crate) ended_parents: EndedParents,
    /// The events of tasks, for those who read them.
    pub(crate) events: Arc<Broadcaster>,
    /// What is still to be published to the other Backends.
    pub(crate) peer_outbox: PeerOutbox,
}

impl Notifier {
    /// These tasks have ended.
    pub(crate) fn notify_ended(&self, tasks: &[TaskId]) {
        self.task_waiters.wake(tasks);
        self.ended_parents.add(tasks);
        self.peer_outbox.add_ended(tasks);
        self.notify_changed(tasks.iter().map(|id| TaskChange {
            id: *id,
            kind: TaskEventKind::Ended,
            attempt: 0,
        }));
    }

    /// These tasks have changed. Costs next to nothing while nobody reads events, here or at another Backend.
    pub(crate) fn notify_changed(&self, changes: impl Iterator<Item = TaskChange> + Clone) {
        self.events.pending.add(changes.clone());
        self.peer_outbox.add_changes(changes);
    }

    /// These grants have ended without a report, so their workers must stop the work.
    pub(crate) fn notify_stopped(&self, stopped: &[StoppedGrant]) {
        self.held_heartbeats.answer(stopped);
        self.peer_outbox.add_stopped(stopped);
    }

    /// Tasks of these types have become ready.
    pub(crate) fn notify_ready<'a>(&self, types: impl Iterator<Item = &'a TypeName> + Clone) {
        self.ready_types.mark_ready(types.clone());
        self.peer_outbox.add_ready(types);
    }

    /// Tasks that are tried again, or blocked no more, become ready at these dates. `now` is an estimate of the database's clock.
    pub(crate) fn schedule_ready(&self, ready_dates: impl Iterator<Item = Timestamp>, now: Timestamp) {
        let delays_ms =
            ready_dates.map(|ready| ready.micros_since(now).max(0).cast_unsigned().div_ceil(1000));
        self.delay_timer.schedule(delays_ms);
    }

    /// Tickets of tasks of these types were declined, so the tasks may be pulled at once.
    pub(crate) fn notify_declined<'a>(&self, types: impl Iterator<Item = &'a TypeName> + Clone) {
        self.ready_types.mark_declined(types.clone());
        self.peer_outbox.add_declined(types);
    }

    /// Tasks of these types are still ready; the other Backends know it already.
    pub(crate) fn notify_ready_locally(&self, types: &[TypeName]) {
        self.ready_types.mark_ready(types.iter());
    }

    /// A task of an unknown type has become ready.
    pub(crate) fn notify_any_ready(&self) {
        self.ready_types.mark_all_ready();
        self.peer_outbox.add_any_ready();
    }

    /// Wakes local waiters for what another Backend has committed.
    pub(crate) fn apply_peer_update(&self, update: &PeerUpdate) {
        if update.any_ended {
            self.task_waiters.wake_all();
            self.ended_parents.add_any();
        } else if !update.ended.is_empty() {
            self.task_waiters.wake(&update.ended);
            self.ended_parents.add(&update.ended);
        }
        self.held_heartbeats.answer(&update.stopped);
        if update.any_ready {
            self.ready_types.mark_all_ready();
        } else if !update.ready.is_empty() {
            self.ready_types.mark_ready(update.ready.iter());
        }
        if !update.declined.is_empty() {
            self.ready_types.mark_declined(update.declined.iter());
        }
        if update.any_change {
            self.events.pending.add_missed();
        }
        if !update.changes.is_empty() {
            self.events.pending.add(update.changes.iter().copied());
        }
    }

    /// A receiver that is woken once when `task` ends, or when it should be read again. Subscribe before reading the task:
    /// then an end between the two is not missed.
    pub(crate) fn subscribe_to_end(&self, task: TaskId) -> oneshot::Receiver<()> {
        self.task_waiters.subscribe(task)
    }

    /// Subscribes to the events of tasks, see [`Broadcaster::subscribe`]. The other Backends are asked for theirs.
    pub(crate) fn subscribe_to_events(
        &self,
        reader: OwnerId,
        topic: Topic,
        after: Option<Uuid>,
    ) -> Result<Subscription, ApiError> {
        let is_first = !self.events.pending.has_interest();
        let subscription = self.events.subscribe(reader, topic, after)?;
        if is_first {
            self.peer_outbox.request_changes();
        }
        Ok(subscription)
    }

    /// A receiver of the grants that `worker` must stop from now on, as [`HeldHeartbeats::subscribe`].
    pub(crate) fn hold_heartbeat(&self, worker: GrantWorker) -> oneshot::Receiver<Vec<GrantRef>> {
        self.held_heartbeats.subscribe(worker)
    }

    /// Waits until tasks have become ready; [`Notifier::take_ready`] says of which types.
    pub(crate) async fn ready_notified(&self) {
        self.ready_types.changed().await;
    }

    /// Takes the types of which tasks have become ready since the last call.
    pub(crate) fn take_ready(&self) -> ReadySet {
        self.ready_types.take()
    }

    /// Drops the entries of requests that wait no more.
    pub(crate) fn drop_closed_waiters(&self) {
        self.task_waiters.drop_closed();
        self.held_heartbeats.drop_closed();
    }
}
