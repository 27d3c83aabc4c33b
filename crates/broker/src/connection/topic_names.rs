//! The names of topics and consumer groups, and what each topic is for.

use domain::{InstallationId, QueueName};

/// Builds the names of topics and consumer groups from the configured prefix.
#[derive(Debug, Clone)]
pub(crate) struct TopicNames {
    prefix: String,
}

/// What a topic carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicKind {
    Tickets,
    Results,
    DeadLetters,
}

impl TopicNames {
    /// Names that begin with `prefix` and a dot.
    pub(crate) fn with_prefix(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The topic with the tickets of one queue.
    pub(crate) fn tickets(&self, queue: &QueueName) -> String {
        format!("{}.tasks.{queue}", self.prefix)
    }

    /// The topic with the results and failures that workers report.
    pub(crate) fn results(&self) -> String {
        format!("{}.results", self.prefix)
    }

    /// The dead letter topic.
    pub(crate) fn dead_letters(&self) -> String {
        format!("{}.dlq", self.prefix)
    }

    /// What the topic of this name carries.
    pub(crate) fn kind_of(&self, topic: &str) -> TopicKind {
        if topic == self.results() {
            TopicKind::Results
        } else if topic == self.dead_letters() {
            TopicKind::DeadLetters
        } else {
            TopicKind::Tickets
        }
    }

    /// The consumer group of an installation's workers that share a queue's tickets.
    pub(crate) fn worker_group(&self, queue: &QueueName, installation: InstallationId) -> String {
        format!("{}.workers.{queue}.{installation}", self.prefix)
    }

    /// The consumer group of an installation's Backends, which share the results.
    pub(crate) fn backend_group(&self, installation: InstallationId) -> String {
        format!("{}.backends.{installation}", self.prefix)
    }
}

impl TopicKind {
    /// What happens while the topic cannot be used, as a clause for a log line.
    pub(crate) const fn fallback(self) -> &'static str {
        match self {
            Self::Tickets => "workers pull its tasks over HTTP until then",
            Self::Results => "results are reported over HTTP until then",
            Self::DeadLetters => {
                "unreadable messages are only logged (topic, partition, offset) until the dead letter topic exists"
            }
        }
    }
}
