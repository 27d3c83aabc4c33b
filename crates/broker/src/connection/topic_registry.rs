//! The topics that this process uses: which exist, which can be read, and whether messages may be sent to them.

use parking_lot::{Mutex, MutexGuard};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use domain::InstallationId;
use tokio::sync::{Notify, watch};

use crate::connection::circuit_breaker::CircuitBreaker;

/// What to do about a topic that two installations use.
pub(crate) const SHARED_TOPIC_HINT: &str = "give each installation its own kafka.topic_prefix";

/// How long a topic counts as used by two installations after a message of the other one.
const FOREIGN_MESSAGE_WINDOW: Duration = Duration::from_mins(1);

/// The declared topics, as the brokers' metadata last showed them.
#[derive(Debug)]
pub(crate) struct TopicRegistry {
    declared: Mutex<BTreeMap<String, Topic>>,
    /// Notified when a topic is declared for the first time.
    topic_added: Notify,
    present: watch::Sender<BTreeSet<String>>,
    /// Topics that cannot be read, with the cause.
    unreadable: watch::Sender<BTreeMap<String, String>>,
    /// Topics with messages of another installation.
    foreign_messages: Mutex<BTreeMap<String, ForeignMessage>>,
}

/// The last message of another installation in a topic.
#[derive(Debug, Clone, Copy)]
struct ForeignMessage {
    installation: InstallationId,
    received: Instant,
}

/// How a topic was created.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicLayout {
    /// The number of partitions; 0 for a topic that does not exist.
    pub partitions: i32,
    /// The replication factor: the number of brokers that store each message, of the partition with the fewest.
    pub replicas: i32,
}

#[derive(Debug, Default)]
struct Topic {
    layout: TopicLayout,
    breaker: CircuitBreaker,
}

/// Why no message may be sent to a topic now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotWritable {
    #[error("the topic does not exist")]
    Missing,
    #[error("the topic's circuit breaker is open")]
    BreakerOpen,
}

impl Topic {
    const fn exists(&self) -> bool {
        self.layout.partitions > 0
    }
}

impl TopicRegistry {
    /// A registry in which `topics` are declared; none of them is known to exist.
    pub(crate) fn with_topics(topics: impl IntoIterator<Item = String>) -> Self {
        let declared = topics.into_iter().map(|name| (name, Topic::default())).collect();
        Self {
            declared: Mutex::new(declared),
            topic_added: Notify::new(),
            present: watch::Sender::default(),
            unreadable: watch::Sender::default(),
            foreign_messages: Mutex::default(),
        }
    }

    /// Declares that this process uses these topics, so that the topic manager creates them or reports them as missing.
    pub(crate) fn declare(&self, topics: impl IntoIterator<Item = String>) {
        let mut declared = self.lock_declared();
        let before = declared.len();
        for topic in topics {
            declared.entry(topic).or_default();
        }
        if declared.len() > before {
            self.topic_added.notify_one();
        }
    }

    /// Waits until a topic is declared for the first time.
    pub(crate) async fn wait_for_new_topic(&self) {
        self.topic_added.notified().await;
    }

    /// The number of partitions of a topic to which a message may be sent now. It is an error to send to a topic that does
    /// not exist: librdkafka would queue the message and fill the queue that all topics share.
    pub(crate) fn check_writable(&self, topic: &str) -> Result<i32, NotWritable> {
        let mut declared = self.lock_declared();
        let topic = declared.get_mut(topic).filter(|topic| topic.exists()).ok_or(NotWritable::Missing)?;
        if topic.breaker.allows(Instant::now()) {
            Ok(topic.layout.partitions)
        } else {
            Err(NotWritable::BreakerOpen)
        }
    }

    /// Records a message that was delivered to a topic. `true`: this closes the topic's circuit breaker.
    pub(crate) fn record_success(&self, topic: &str) -> bool {
        self.lock_declared().get_mut(topic).is_some_and(|topic| topic.breaker.record_success())
    }

    /// Records a message that was not delivered to a topic. `true`: this opens the topic's circuit breaker.
    pub(crate) fn record_failure(&self, topic: &str) -> bool {
        self.lock_declared().get_mut(topic).is_some_and(|topic| topic.breaker.record_failure(Instant::now()))
    }

    /// Takes over the layouts of all topics that the brokers' metadata shows.
    pub(crate) fn update(&self, layouts: &BTreeMap<String, TopicLayout>) {
        let mut declared = self.lock_declared();
        for (name, topic) in declared.iter_mut() {
            topic.layout = layouts.get(name).copied().unwrap_or_default();
        }
        let present = declared.iter().filter(|(_, topic)| topic.exists()).map(|(name, _)| name.clone());
        let present: BTreeSet<String> = present.collect();
        drop(declared);
        self.present.send_if_modified(|before| {
            *before != present && {
                *before = present;
                true
            }
        });
    }

    /// Closes all circuit breakers: after an outage of the brokers earlier failures say nothing about the topics.
    pub(crate) fn reset_breakers(&self) {
        for topic in self.lock_declared().values_mut() {
            topic.breaker.record_success();
        }
    }

    /// The declared topics that do not exist.
    pub(crate) fn missing(&self) -> Vec<String> {
        self.lock_declared()
            .iter()
            .filter(|(_, topic)| !topic.exists())
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The layouts of the declared topics that exist.
    pub(crate) fn layouts(&self) -> BTreeMap<String, TopicLayout> {
        let declared = self.lock_declared();
        let existing = declared.iter().filter(|(_, topic)| topic.exists());
        existing.map(|(name, topic)| (name.clone(), topic.layout)).collect()
    }

    /// The topics whose circuit breakers are open.
    pub(crate) fn open_breakers(&self) -> Vec<String> {
        let now = Instant::now();
        self.lock_declared()
            .iter()
            .filter(|(_, topic)| topic.breaker.is_open(now))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The declared topics that exist; the receiver sees every change.
    pub(crate) fn present(&self) -> watch::Receiver<BTreeSet<String>> {
        self.present.subscribe()
    }

    /// Records that a topic cannot be read, for a reason that retrying does not remove. `true`: the topic could be read before.
    pub(crate) fn mark_unreadable(&self, topic: &str, cause: &str) -> bool {
        self.unreadable
            .send_if_modified(|unreadable| unreadable.insert(topic.to_owned(), cause.to_owned()).is_none())
    }

    /// Records that a topic can be read. `true`: it could not be read before.
    pub(crate) fn mark_readable(&self, topic: &str) -> bool {
        self.unreadable.send_if_modified(|unreadable| unreadable.remove(topic).is_some())
    }

    /// The topics that cannot be read, with the cause; the receiver sees every change.
    pub(crate) fn unreadable(&self) -> watch::Receiver<BTreeMap<String, String>> {
        self.unreadable.subscribe()
    }

    /// Records a message of another installation in a topic. `true`: it is the first one of that installation.
    pub(crate) fn record_foreign_message(&self, topic: &str, installation: InstallationId) -> bool {
        let message = ForeignMessage { installation, received: Instant::now() };
        let before = self.foreign_messages.lock().insert(topic.to_owned(), message);
        before.is_none_or(|before| before.installation != installation)
    }

    /// The topics in which messages of another installation were received lately, with that installation.
    pub(crate) fn foreign_installations(&self) -> Vec<(String, InstallationId)> {
        let foreign_messages = self.foreign_messages.lock();
        let lately = foreign_messages
            .iter()
            .filter(|(_, message)| message.received.elapsed() < FOREIGN_MESSAGE_WINDOW);
        lately.map(|(topic, message)| (topic.clone(), message.installation)).collect()
    }

    fn lock_declared(&self) -> MutexGuard<'_, BTreeMap<String, Topic>> {
        self.declared.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_a_topic_that_exists_is_writable_and_each_has_its_own_breaker() {
        let topics = TopicRegistry::with_topics(["a".to_owned()]);
        topics.declare(["b".to_owned()]);
        topics.wait_for_new_topic().await;
        topics.declare(["b".to_owned()]);
        let again = tokio::time::timeout(Duration::ZERO, topics.wait_for_new_topic()).await;
        assert!(again.is_err(), "a topic that was declared before is not new");
        assert_eq!(topics.check_writable("a"), Err(NotWritable::Missing));
        let layout = |partitions| TopicLayout { partitions, replicas: 1 };
        topics.update(&[("a", 12), ("b", 3), ("other", 1)].map(|(a, n)| (a.to_owned(), layout(n))).into());
        assert_eq!(topics.layouts().keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(
            (topics.check_writable("a"), topics.check_writable("other")),
            (Ok(12), Err(NotWritable::Missing))
        );
        while !topics.record_failure("a") {}
        assert_eq!(
            (topics.check_writable("a"), topics.check_writable("b")),
            (Err(NotWritable::BreakerOpen), Ok(3))
        );
        assert_eq!(topics.open_breakers(), ["a"]);
        assert!(topics.record_success("a") && topics.open_breakers().is_empty());
        while !topics.record_failure("a") {}
        topics.reset_breakers();
        assert_eq!(topics.check_writable("a"), Ok(12));
        topics.update(&BTreeMap::new());
        assert_eq!(topics.missing(), ["a", "b"]);
    }
}
