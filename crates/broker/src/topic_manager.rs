//! Looks at the brokers' metadata now and then, makes the topics that are missing, or says that they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer as _;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::broker::{Broker, Role};
use crate::connection::availability::BrokerAvailability;
use crate::connection::topic_registry::{TopicKind, TopicLayout};
use crate::settings::Settings;

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two looks while all is well.
const CALM: Duration = Duration::from_secs(10);

/// The same while the brokers are away; and at first while a topic is missing, which may be for long: each look doubles it
/// then.
const TROUBLE: Duration = Duration::from_millis(500);

/// What the metadata shows of our topics.
type Seen = BTreeMap<String, TopicLayout>;

/// Keeps a process's picture of the topics.
pub(crate) struct TopicManager {
    broker: Broker,
    role: Role,
    /// What is missing and has been said to be.
    said: BTreeSet<String>,
    checked: BTreeSet<String>,
    /// Makes topics, while some are missing.
    admin: Option<Arc<AdminClient<BrokerAvailability>>>,
}

/// What a look has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MetadataState {
    AllThere,
    Missing,
    Away,
}

impl TopicManager {
    pub(crate) fn of(broker: Broker, role: Role) -> Self {
        Self { broker, role, said: BTreeSet::new(), checked: BTreeSet::new(), admin: None }
    }

    /// Looks until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut patience = TROUBLE;
        while !stop.is_cancelled() {
            let anew = self.broker.recover_producer().await;
            let pause = match self.look().await {
                MetadataState::AllThere => {
                    self.drop_admin_client().await;
                    patience = TROUBLE;
                    CALM
                }
                MetadataState::Missing => {
                    let pause = patience;
                    patience = (patience * 2).min(CALM);
                    pause
                }
                MetadataState::Away => TROUBLE,
            };
            let broker = self.broker.clone();
            tokio::select! {
                () = stop.cancelled() => {}
                () = broker.line().suspected() => {}
                () = broker.wanted().notified() => patience = TROUBLE,
                () = tokio::time::sleep(anew.map_or(pause, |anew| anew.min(pause))) => {}
            }
        }
        self.drop_admin_client().await;
    }

    /// Looks once.
    async fn look(&mut self) -> MetadataState {
        let producer = self.broker.producer();
        let prefix = format!("{}.", self.broker.settings().topic_prefix);
        let look = move || {
            let metadata = producer.client().fetch_metadata(None, PATIENCE)?;
            let ours = metadata.topics().iter().filter(|topic| topic.name().starts_with(&prefix));
            let seen = ours.map(|topic| {
                let kept = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
                let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
                let partitions = number(topic.partitions().len());
                (topic.name().to_owned(), TopicLayout { partitions, replicas: number(kept.unwrap_or(0)) })
            });
            Ok::<Seen, KafkaError>(seen.collect())
        };
        match spawn_blocking(look).await.expect("a look does not panic") {
            Ok(seen) => {
                // Whoever waits for the line finds the topics as they are.
                self.broker.topics().seen(&seen);
                if !self.broker.is_up() {
                    self.broker.topics().mend();
                }
                self.broker.line().heard();
                self.check();
                self.create_or_report_missing().await
            }
            Err(error) => {
                self.broker.line().lost(&error.to_string());
                MetadataState::Away
            }
        }
    }

    /// Makes what is missing, if that is ours to do; else says so, once.
    async fn create_or_report_missing(&mut self) -> MetadataState {
        let missing = self.broker.topics().missing();
        self.said.retain(|topic| missing.contains(topic));
        if missing.is_empty() {
            return MetadataState::AllThere;
        }
        if self.role == Role::Backend && self.broker.settings().provision {
            self.create(&missing).await;
            return MetadataState::Missing;
        }
        for topic in missing {
            if self.said.insert(topic.clone()) {
                let Settings { partitions, replication, .. } = self.broker.settings();
                let meanwhile = self.broker.names().use_of(&topic).meanwhile();
                tracing::warn!(
                    topic,
                    "the topic {topic} is not there; {meanwhile}: make it ({partitions} partitions, replication \
                     {replication}), or a Backend does with kafka.provision = true"
                );
            }
        }
        MetadataState::Missing
    }

    async fn create(&mut self, missing: &[String]) {
        let broker = self.broker.clone();
        let settings = broker.settings();
        let retention: Vec<String> =
            missing.iter().map(|topic| self.broker.retention_of(topic).as_millis().to_string()).collect();
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .zip(&retention)
            .map(|(topic, retention)| {
                NewTopic::new(topic, settings.partitions, TopicReplication::Fixed(settings.replication))
                    .set("cleanup.policy", "delete")
                    .set("retention.ms", retention)
            })
            .collect();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        let made = match self.admin() {
            Ok(admin) => admin.create_topics(&topics, &options).await,
            Err(error) => Err(error),
        };
        let refused: Vec<(String, String)> = match made {
            Ok(results) => results.into_iter().filter_map(|result| self.made(result)).collect(),
            Err(error) => missing.iter().map(|topic| (topic.clone(), error.to_string())).collect(),
        };
        for (topic, error) in refused {
            if self.said.insert(topic.clone()) {
                let meanwhile = self.broker.names().use_of(&topic).meanwhile();
                tracing::warn!(topic, error, "the topic {topic} cannot be made: {error}; {meanwhile}");
            }
        }
    }

    fn admin(&mut self) -> Result<Arc<AdminClient<BrokerAvailability>>, KafkaError> {
        if let Some(admin) = &self.admin {
            return Ok(admin.clone());
        }
        let line = self.broker.line().clone();
        let admin: AdminClient<BrokerAvailability> =
            self.broker.settings().admin().create_with_context(line)?;
        let admin = Arc::new(admin);
        self.admin = Some(admin.clone());
        Ok(admin)
    }

    /// Lets the maker of topics go.
    async fn drop_admin_client(&mut self) {
        if let Some(admin) = self.admin.take() {
            // Its threads are waited for.
            spawn_blocking(move || drop(admin)).await.expect("an admin client ends");
        }
    }

    fn made(&self, result: Result<String, (String, RDKafkaErrorCode)>) -> Option<(String, String)> {
        match result {
            Ok(topic) => {
                let partitions = self.broker.settings().partitions;
                tracing::info!(topic, partitions, "made the topic {topic}");
                None
            }
            // Another Backend was quicker.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
            Err((topic, code)) => Some((topic, code.to_string())),
        }
    }

    /// Says of each topic, once, in what it differs from the settings.
    fn check(&mut self) {
        if self.role != Role::Backend {
            return;
        }
        let Settings { partitions, replication, .. } = *self.broker.settings();
        for (topic, found) in self.broker.topic_layouts() {
            if !self.checked.insert(topic.clone()) {
                continue;
            }
            if found.partitions != partitions {
                let found = found.partitions;
                tracing::info!(
                    topic,
                    "the topic {topic} has {found} partitions; kafka.partitions = {partitions} is for new ones"
                );
            }
            if found.replicas < replication {
                let kept = found.replicas;
                tracing::warn!(
                    topic,
                    "the topic {topic} is kept on {kept} brokers; kafka.replication = {replication} is for new ones"
                );
            }
        }
    }
}

impl Broker {
    /// Looks after the topics until `stop`. Nothing is sent and nothing is received before this runs.
    pub async fn manage_topics(self, role: Role, stop: CancellationToken) {
        TopicManager::of(self, role).run(stop).await;
    }

    fn retention_of(&self, topic: &str) -> Duration {
        let retention = self.settings().retention;
        match self.names().use_of(topic) {
            TopicKind::Tickets => retention.tickets,
            TopicKind::Results => retention.results,
            TopicKind::DeadLetterQueue => retention.dead,
        }
    }
}
