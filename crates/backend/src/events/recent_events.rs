//! The latest events, for readers that reconnect.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::{OwnerId, TaskEvent};
use uuid::Uuid;

/// The most events that are stored.
const CAPACITY: usize = 10_000;

/// An event as it is sent to readers.
#[derive(Debug)]
pub(crate) struct PublishedEvent {
    /// The id in the stream. It is random, and so no Backend knows the id of another one or of its own last process, and no reader
    /// can count the events of others.
    pub(crate) id: Uuid,
    pub(crate) owner: OwnerId,
    pub(crate) event: TaskEvent,
}

/// A bounded buffer; the oldest events are dropped.
#[derive(Debug, Default)]
pub(crate) struct RecentEvents(VecDeque<Arc<PublishedEvent>>);

impl RecentEvents {
    /// Adds the latest event.
    pub(crate) fn add(&mut self, event: Arc<PublishedEvent>) {
        if self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(event);
    }

    /// Drops all events: none may be followed by the next one without a gap.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The events after the one with the id `last`, those of `owner` or of everybody; `None` if that one is not stored, or is
    /// another owner's.
    pub(crate) fn after(&self, last: Uuid, owner: Option<OwnerId>) -> Option<VecDeque<Arc<PublishedEvent>>> {
        let is_visible = |event: &Arc<PublishedEvent>| owner.is_none_or(|owner| event.owner == owner);
        let at = self.0.iter().rposition(|event| event.id == last && is_visible(event))?;
        Some(self.0.range(at + 1..).filter(|event| is_visible(event)).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use domain::{Status, TaskEventKind, TaskId, Timestamp};

    use super::*;

    fn event(n: usize, owner: u128) -> Arc<PublishedEvent> {
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
        let owner = OwnerId(Uuid::from_u128(owner));
        Arc::new(PublishedEvent { id: Uuid::from_u128(n as u128), owner, event })
    }

    #[test]
    fn a_reader_continues_after_its_last_event_as_long_as_that_is_stored() {
        let mut recent = RecentEvents::default();
        let [ann, bob] = [1, 2].map(|owner| OwnerId(Uuid::from_u128(owner)));
        (0..CAPACITY).for_each(|n| recent.add(event(n, 1 + n as u128 % 2)));
        let after = |recent: &RecentEvents, last: usize, owner| {
            recent.after(Uuid::from_u128(last as u128), owner).map(|events| events.len())
        };
        assert_eq!(after(&recent, 0, Some(ann)), Some(CAPACITY / 2 - 1));
        assert_eq!(after(&recent, 0, None), Some(CAPACITY - 1));
        assert_eq!(after(&recent, 0, Some(bob)), None, "the id of another owner's event is as good as none");
        assert_eq!(after(&recent, CAPACITY - 2, Some(ann)), Some(0));
        recent.add(event(CAPACITY, 1));
        assert_eq!(after(&recent, 0, Some(ann)), None, "the oldest event has been dropped");
        assert_eq!(after(&recent, 2, Some(ann)), Some(CAPACITY / 2 - 1));
        recent.clear();
        assert_eq!(after(&recent, 2, Some(ann)), None);
    }
}
