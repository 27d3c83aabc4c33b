//! Sends the events of tasks to the readers at this Backend.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use domain::{OwnerId, TaskId};
use parking_lot::Mutex;
use store::EventOfOwner;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use uuid::Uuid;

use crate::error::ApiError;
use crate::events::pending_changes::PendingChanges;
use crate::events::recent_events::{PublishedEvent, RecentEvents};

/// The most readers at this Backend, and of one account or client.
const MAX_READERS: usize = 10_000;
const MAX_READERS_OF_SUBJECT: usize = 1000;

/// The messages that may wait for one reader. A reader that is further behind is cut off: its stream ends after them, and it
/// continues with `Last-Event-ID`.
const MAX_WAITING_MESSAGES: usize = 1000;

/// How long events are collected after the last reader of several tasks has gone, so that it can continue.
const COLLECT_AFTER_LAST_READER: Duration = Duration::from_mins(1);

/// The readers at this Backend, and the events for them.
#[derive(Debug, Default)]
pub(crate) struct Broadcaster {
    /// What was announced and is not sent yet.
    pub(crate) pending: PendingChanges,
    state: Mutex<State>,
}

/// What a stream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    /// One task.
    Task(TaskId),
    /// The tasks of one owner.
    Owner(OwnerId),
    /// All tasks.
    All,
}

/// What is sent to a reader.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    Event(Arc<PublishedEvent>),
    /// Events may have been missed: the reader must read the tasks.
    Missed,
}

/// One reader. Dropping it ends the subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    broadcaster: Arc<Broadcaster>,
    reader: OwnerId,
    topic: Topic,
    backlog: VecDeque<Message>,
    queue: mpsc::Receiver<Message>,
}

#[derive(Debug, Default)]
struct State {
    recent: RecentEvents,
    readers: HashMap<OwnerId, usize>,
    all: Vec<mpsc::Sender<Message>>,
    by_owner: HashMap<OwnerId, Vec<mpsc::Sender<Message>>>,
    by_task: HashMap<TaskId, Vec<mpsc::Sender<Message>>>,
    /// How many subscriptions are about several tasks.
    readers_of_several: usize,
    /// When the last of them ended.
    last_reader_left: Option<Instant>,
}

impl Broadcaster {
    /// Subscribes the account or client `reader`. A stream about several tasks continues `after` the event with this id; without an id, or
    /// if the event is not stored here, its first message is [`Message::Missed`]. Fails if there are too many readers.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        reader: OwnerId,
        topic: Topic,
        after: Option<Uuid>,
    ) -> Result<Subscription, ApiError> {
        let (sender, queue) = mpsc::channel(MAX_WAITING_MESSAGES);
        let mut state = self.state.lock();
        let of_reader = state.readers.get(&reader).copied().unwrap_or(0);
        if of_reader >= MAX_READERS_OF_SUBJECT {
            return Err(ApiError::TooManyEventStreams { limit: MAX_READERS_OF_SUBJECT });
        }
        if state.readers.values().sum::<usize>() >= MAX_READERS {
            return Err(ApiError::Overloaded);
        }
        let mut backlog = VecDeque::new();
        match topic {
            Topic::Task(task) => self.pending.want_task(task),
            Topic::Owner(_) | Topic::All => {
                self.pending.set_wants_all(true);
                state.readers_of_several += 1;
                backlog = state.backlog(topic, after);
            }
        }
        state.readers.insert(reader, of_reader + 1);
        state.senders(topic).push(sender);
        drop(state);
        Ok(Subscription { broadcaster: Arc::clone(self), reader, topic, backlog, queue })
    }

    /// Ends one subscription of `reader` to `topic`, whose queue is closed.
    fn unsubscribe(&self, reader: OwnerId, topic: Topic) {
        let mut state = self.state.lock();
        match topic {
            Topic::Task(task) => self.pending.forget_task(task),
            Topic::Owner(_) | Topic::All => {
                state.readers_of_several -= 1;
                state.last_reader_left = Some(Instant::now());
            }
        }
        let left = state.readers.get(&reader).map_or(0, |readers| readers - 1);
        match left {
            0 => state.readers.remove(&reader),
            left => state.readers.insert(reader, left),
        };
        state.drop_closed(topic);
    }

    /// Sends events to their readers.
    pub(crate) fn publish(&self, events: Vec<EventOfOwner>) {
        let mut state = self.state.lock();
        for EventOfOwner { owner, event } in events {
            let task = event.id;
            let event = Arc::new(PublishedEvent { id: Uuid::new_v4(), owner, event });
            state.recent.add(Arc::clone(&event));
            for topic in [Topic::Task(task), Topic::Owner(owner), Topic::All] {
                state.send(topic, &Message::Event(Arc::clone(&event)));
            }
        }
    }

    /// Events may have been missed: every reader is notified of that, and no earlier event is continued.
    pub(crate) fn publish_missed(&self) {
        let mut state = self.state.lock();
        state.recent.clear();
        let State { all, by_owner, by_task, .. } = &mut *state;
        for senders in by_owner.values_mut().chain(by_task.values_mut()).chain([all]) {
            senders.retain(|sender| sender.try_send(Message::Missed).is_ok());
        }
    }

    /// Stops to collect the changes of all tasks if nobody has read them for some time.
    pub(crate) fn stop_if_unread(&self) {
        let mut state = self.state.lock();
        let is_unread =
            state.last_reader_left.is_some_and(|left| left.elapsed() >= COLLECT_AFTER_LAST_READER);
        if state.readers_of_several == 0 && is_unread {
            state.last_reader_left = None;
            state.recent.clear();
            self.pending.set_wants_all(false);
        }
    }
}

impl Subscription {
    /// The next messages, at least one; none when the reader has been too slow and its subscription has ended. The future may be
    /// dropped without losing a message.
    pub(crate) async fn next(&mut self, most: usize) -> Vec<Message> {
        if !self.backlog.is_empty() {
            let count = most.min(self.backlog.len());
            return self.backlog.drain(..count).collect();
        }
        let mut messages = Vec::new();
        self.queue.recv_many(&mut messages, most).await;
        messages
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.close();
        self.broadcaster.unsubscribe(self.reader, self.topic);
    }
}

impl State {
    /// What a reader of several tasks is sent first.
    fn backlog(&self, topic: Topic, after: Option<Uuid>) -> VecDeque<Message> {
        let owner = if let Topic::Owner(owner) = topic { Some(owner) } else { None };
        match after.and_then(|last| self.recent.after(last, owner)) {
            Some(events) => events.into_iter().map(Message::Event).collect(),
            None => VecDeque::from([Message::Missed]),
        }
    }

    fn senders(&mut self, topic: Topic) -> &mut Vec<mpsc::Sender<Message>> {
        match topic {
            Topic::All => &mut self.all,
            Topic::Owner(owner) => self.by_owner.entry(owner).or_default(),
            Topic::Task(task) => self.by_task.entry(task).or_default(),
        }
    }

    /// Sends a message to the readers of `topic`, and cuts off those that are too slow.
    fn send(&mut self, topic: Topic, message: &Message) {
        let senders = match topic {
            Topic::All => Some(&mut self.all),
            Topic::Owner(owner) => self.by_owner.get_mut(&owner),
            Topic::Task(task) => self.by_task.get_mut(&task),
        };
        if let Some(senders) = senders {
            senders.retain(|sender| sender.try_send(message.clone()).is_ok());
        }
    }

    fn drop_closed(&mut self, topic: Topic) {
        let senders = self.senders(topic);
        senders.retain(|sender| !sender.is_closed());
        if senders.is_empty() {
            match topic {
                Topic::All => {}
                Topic::Owner(owner) => drop(self.by_owner.remove(&owner)),
                Topic::Task(task) => drop(self.by_task.remove(&task)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Status, TaskEvent, TaskEventKind, Timestamp};
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;

    fn owner(n: u128) -> OwnerId {
        OwnerId(Uuid::from_u128(n))
    }

    fn event(n: usize, owner: OwnerId) -> EventOfOwner {
        let event = TaskEvent {
            event: TaskEventKind::Created,
            id: TaskId(Uuid::from_u128(n as u128)),
            owner: None,
            type_name: "ECHO".parse().unwrap(),
            status: Status::Created,
            reason: None,
            attempt: 0,
            worker_name: None,
            creation_date: Timestamp(0),
            start_date: None,
            end_date: None,
            progress: None,
        };
        EventOfOwner { owner, event }
    }

    /// How many messages wait for a reader, and whether its subscription has ended after them.
    fn received(subscription: &mut Subscription) -> (usize, bool) {
        let mut count = subscription.backlog.drain(..).count();
        loop {
            match subscription.queue.try_recv() {
                Ok(_) => count += 1,
                Err(error) => return (count, error == TryRecvError::Disconnected),
            }
        }
    }

    #[test]
    fn a_slow_reader_is_cut_off_and_no_other_one() {
        let broadcaster = Arc::new(Broadcaster::default());
        let subscribe = |topic| broadcaster.subscribe(owner(1), topic, None).unwrap();
        let (mut slow, mut fast) = (subscribe(Topic::Owner(owner(1))), subscribe(Topic::Owner(owner(1))));
        let (mut all, mut other) = (subscribe(Topic::All), subscribe(Topic::Owner(owner(2))));
        for n in 0..=MAX_WAITING_MESSAGES {
            broadcaster.publish(vec![event(n, owner(1))]);
            assert_eq!(received(&mut fast), (if n == 0 { 2 } else { 1 }, false));
            received(&mut all);
        }
        assert_eq!(received(&mut slow), (MAX_WAITING_MESSAGES + 1, true), "the reset and all that waited");
        assert_eq!(received(&mut other), (1, false));
        drop((slow, fast, all, other));
        let state = broadcaster.state.lock();
        assert!(state.by_owner.is_empty() && state.all.is_empty() && state.readers.is_empty());
    }

    #[test]
    fn readers_are_limited_and_a_place_is_free_when_one_has_gone() {
        let broadcaster = Arc::new(Broadcaster::default());
        let mut readers = Vec::new();
        for n in 0..MAX_READERS {
            let of = owner((n / MAX_READERS_OF_SUBJECT) as u128);
            readers.push(broadcaster.subscribe(of, Topic::Task(TaskId(of.0)), None).unwrap());
        }
        let subscribe = |of: u128| broadcaster.subscribe(owner(of), Topic::All, None);
        assert!(matches!(subscribe(0), Err(ApiError::TooManyEventStreams { .. })));
        assert!(matches!(subscribe(77), Err(ApiError::Overloaded)));
        readers.pop();
        assert!(subscribe(77).is_ok());
        drop(readers);
        assert!(broadcaster.pending.has_interest(), "a reader of all tasks may connect again");
        broadcaster.stop_if_unread();
        assert!(broadcaster.pending.has_interest());
        let long_ago = Instant::now().checked_sub(COLLECT_AFTER_LAST_READER);
        broadcaster.state.lock().last_reader_left = long_ago;
        broadcaster.stop_if_unread();
        assert!(!broadcaster.pending.has_interest());
    }
}
