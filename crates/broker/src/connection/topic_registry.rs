//! The topics: how they are called, which of them are wanted, which are there, and whether messages may go to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use domain::QueueName;
use tokio::sync::watch;

use crate::connection::circuit_breaker::Breaker;

/// How topics and groups are called.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    pub(crate) fn of(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The tickets of one queue.
    pub(crate) fn tickets(&self, queue: &QueueName) -> String {
        format!("{}.tasks.{queue}", self.prefix)
    }

    /// What workers report.
    pub(crate) fn results(&self) -> String {
        format!("{}.results", self.prefix)
    }

    /// What nobody could read.
    pub(crate) fn dead(&self) -> String {
        format!("{}.dlq", self.prefix)
    }

    /// What a topic of ours is for.
    pub(crate) fn use_of(&self, topic: &str) -> TopicKind {
        if topic == self.results() {
            TopicKind::Results
        } else if topic == self.dead() {
            TopicKind::DeadLetterQueue
        } else {
            TopicKind::Tickets
        }
    }

    /// The workers that share a queue's tickets.
    pub(crate) fn workers(&self, queue: &QueueName) -> String {
        format!("{}.workers.{queue}", self.prefix)
    }

    /// The Backends that share the results.
    pub(crate) fn backends(&self) -> String {
        format!("{}.backends", self.prefix)
    }
}

/// What a topic is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicKind {
    Tickets,
    Results,
    DeadLetterQueue,
}

impl TopicKind {
    /// How it goes on while the topic cannot be used.
    pub(crate) const fn meanwhile(self) -> &'static str {
        match self {
            Self::Tickets => "its work goes by pull meanwhile",
            Self::Results => "results go over HTTP meanwhile",
            Self::DeadLetterQueue => "of what nobody can read only the log says where it is meanwhile",
        }
    }
}

/// The topics that this process wants, as the brokers' metadata last showed them.
#[derive(Debug)]
pub(crate) struct Topics {
    wanted: Mutex<BTreeMap<String, Topic>>,
    there: watch::Sender<BTreeSet<String>>,
    /// Those that we may not or cannot read, and why.
    unreadable: watch::Sender<BTreeMap<String, String>>,
}

/// How a topic is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicLayout {
    /// How many partitions it has; 0: it is not there.
    pub partitions: i32,
    /// On how many brokers each message of it is kept: of its partitions, the one with the fewest.
    pub replicas: i32,
}

/// One topic.
#[derive(Debug, Default)]
struct Topic {
    shape: TopicLayout,
    breaker: Breaker,
}

/// Why no message may go to a topic now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the topic is not there")]
    Missing,
    #[error("its breaker is open")]
    Open,
}

impl Topic {
    const fn is_there(&self) -> bool {
        self.shape.partitions > 0
    }
}

impl Topics {
    pub(crate) fn wanting(topics: impl IntoIterator<Item = String>) -> Self {
        let wanted = topics.into_iter().map(|name| (name, Topic::default())).collect();
        Self {
            wanted: Mutex::new(wanted),
            there: watch::Sender::default(),
            unreadable: watch::Sender::default(),
        }
    }

    /// This topic is wanted too. True if it was not before.
    pub(crate) fn want(&self, topic: String) -> bool {
        let mut wanted = self.wanted();
        let is_new = !wanted.contains_key(&topic);
        if is_new {
            wanted.insert(topic, Topic::default());
        }
        is_new
    }

    /// The partitions of a topic to which a message may go now.
    pub(crate) fn open(&self, topic: &str) -> Result<i32, Unavailable> {
        let mut wanted = self.wanted();
        let topic = wanted.get_mut(topic).filter(|topic| topic.is_there()).ok_or(Unavailable::Missing)?;
        if topic.breaker.allows(Instant::now()) { Ok(topic.shape.partitions) } else { Err(Unavailable::Open) }
    }

    /// A message has arrived there. True if that closes the topic's breaker.
    pub(crate) fn succeeded(&self, topic: &str) -> bool {
        self.wanted().get_mut(topic).is_some_and(|topic| topic.breaker.succeeded())
    }

    /// A message has not arrived there. True if that opens the topic's breaker.
    pub(crate) fn failed(&self, topic: &str) -> bool {
        self.wanted().get_mut(topic).is_some_and(|topic| topic.breaker.failed(Instant::now()))
    }

    /// What the metadata shows: each topic that is there.
    pub(crate) fn seen(&self, shapes: &BTreeMap<String, TopicLayout>) {
        let mut wanted = self.wanted();
        for (name, topic) in wanted.iter_mut() {
            topic.shape = shapes.get(name).copied().unwrap_or_default();
        }
        let there = wanted.iter().filter(|(_, topic)| topic.is_there()).map(|(name, _)| name.clone());
        let there: BTreeSet<String> = there.collect();
        drop(wanted);
        self.there.send_if_modified(|before| {
            *before != there && {
                *before = there;
                true
            }
        });
    }

    /// The brokers are back: what failed while they were away says nothing of now.
    pub(crate) fn mend(&self) {
        for topic in self.wanted().values_mut() {
            topic.breaker.succeeded();
        }
    }

    /// The wanted topics that are not there.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.wanted().iter().filter(|(_, topic)| !topic.is_there()).map(|(name, _)| name.clone()).collect()
    }

    /// How the wanted topics are made, of those that are there.
    pub(crate) fn layouts(&self) -> BTreeMap<String, TopicLayout> {
        let wanted = self.wanted();
        let there = wanted.iter().filter(|(_, topic)| topic.is_there());
        there.map(|(name, topic)| (name.clone(), topic.shape)).collect()
    }

    /// The topics whose breakers are open.
    pub(crate) fn broken(&self) -> Vec<String> {
        let now = Instant::now();
        self.wanted()
            .iter()
            .filter(|(_, topic)| topic.breaker.is_shut(now))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The topics that are there, as they change.
    pub(crate) fn there(&self) -> watch::Receiver<BTreeSet<String>> {
        self.there.subscribe()
    }

    /// Nothing can be read from this topic, for a reason that does not pass with the next try. True if that is new.
    pub(crate) fn deafened(&self, topic: &str, cause: &str) -> bool {
        self.unreadable
            .send_if_modified(|unreadable| unreadable.insert(topic.to_owned(), cause.to_owned()).is_none())
    }

    /// This topic is read, as far as anybody can tell. True if it was not.
    pub(crate) fn hears(&self, topic: &str) -> bool {
        self.unreadable.send_if_modified(|unreadable| unreadable.remove(topic).is_some())
    }

    /// The topics that nothing can be read from, and why, as they change.
    pub(crate) fn unreadable(&self) -> watch::Receiver<BTreeMap<String, String>> {
        self.unreadable.subscribe()
    }

    fn wanted(&self) -> MutexGuard<'_, BTreeMap<String, Topic>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_takes_messages_once_it_has_been_seen_and_each_for_itself() {
        let topics = Topics::wanting(["a".to_owned()]);
        assert!(topics.want("b".to_owned()) && !topics.want("b".to_owned()));
        assert_eq!(topics.open("a"), Err(Unavailable::Missing));
        let shape = |partitions| TopicLayout { partitions, replicas: 1 };
        topics.seen(&[("a", 12), ("b", 3), ("other", 1)].map(|(a, n)| (a.to_owned(), shape(n))).into());
        assert_eq!(topics.layouts().keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((topics.open("a"), topics.open("other")), (Ok(12), Err(Unavailable::Missing)));
        while !topics.failed("a") {}
        assert_eq!((topics.open("a"), topics.open("b")), (Err(Unavailable::Open), Ok(3)));
        assert_eq!(topics.broken(), ["a"]);
        assert!(topics.succeeded("a") && topics.broken().is_empty());
        while !topics.failed("a") {}
        topics.mend();
        assert_eq!(topics.open("a"), Ok(12));
        topics.seen(&BTreeMap::new());
        assert_eq!(topics.missing(), ["a", "b"]);
    }
}
