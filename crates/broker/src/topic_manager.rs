//! Refreshes the brokers' metadata periodically, and creates missing topics or reports them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::Producer as _;
use telemetry::Outage;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::connection::availability::BrokerAvailability;
use crate::connection::topic_names::TopicKind;
use crate::connection::topic_registry::TopicLayout;
use crate::producer::recovery::ProducerRecovery;
use crate::settings::Settings;

/// Timeout of a metadata request and of the creation of topics.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause between two metadata requests while the brokers answer and all topics exist.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// Pause between two metadata requests while the brokers are down, and the first pause while a topic is missing. The latter
/// doubles, since a topic may be missing for long.
const FAST_REFRESH_INTERVAL: Duration = Duration::from_millis(500);

/// The pauses between two metadata requests while a topic is missing.
const MISSING_TOPIC_PAUSES: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(FAST_REFRESH_INTERVAL)
    .with_max_delay(REFRESH_INTERVAL)
    .without_max_times();

/// What a process does with the topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Publishes tickets and consumes results; creates missing topics if the settings allow it.
    Backend,
    /// Consumes tickets and publishes results; reports missing topics.
    Worker,
}

/// Keeps a process's view of brokers and topics up to date.
pub(crate) struct TopicManager {
    connection: Arc<Connection>,
    recovery: Arc<ProducerRecovery>,
    role: Role,
    /// What has been logged about each missing topic.
    outages: BTreeMap<String, Outage>,
    /// Topics whose layouts have been compared with the settings.
    checked: BTreeSet<String>,
    /// The client that creates topics; exists while some are missing.
    admin: Option<Arc<AdminClient<BrokerAvailability>>>,
}

/// What the latest metadata request has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClusterState {
    Complete,
    TopicsMissing,
    BrokersDown,
}

impl TopicManager {
    /// A manager for a process in `role`.
    pub(crate) fn new(connection: Arc<Connection>, recovery: Arc<ProducerRecovery>, role: Role) -> Self {
        Self { connection, recovery, role, outages: BTreeMap::new(), checked: BTreeSet::new(), admin: None }
    }

    /// Refreshes the metadata until `stop`: periodically, when a client suspects an outage, and when a topic is declared.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut missing_topic_pauses = MISSING_TOPIC_PAUSES.build();
        while !stop.is_cancelled() {
            let recovery_pause = self.recovery.check_producer(&self.connection).await;
            let pause = match self.refresh_metadata().await {
                ClusterState::Complete => {
                    self.drop_admin_client().await;
                    missing_topic_pauses = MISSING_TOPIC_PAUSES.build();
                    REFRESH_INTERVAL
                }
                ClusterState::TopicsMissing => missing_topic_pauses.next().unwrap_or(REFRESH_INTERVAL),
                ClusterState::BrokersDown => FAST_REFRESH_INTERVAL,
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.connection.availability.wait_until_suspected() => {}
                () = self.connection.topics.wait_for_new_topic() => missing_topic_pauses = MISSING_TOPIC_PAUSES.build(),
                () = tokio::time::sleep(recovery_pause.map_or(pause, |recovery| recovery.min(pause))) => {}
            }
        }
        self.drop_admin_client().await;
    }

    /// Requests the metadata once, and updates topics and availability by the answer.
    async fn refresh_metadata(&mut self) -> ClusterState {
        let connection = self.connection.clone();
        let fetched = spawn_blocking(move || fetch_layouts(&connection)).await;
        match fetched.expect("a metadata request does not panic") {
            Ok(layouts) => {
                // The topics come first: whoever waits for the brokers then finds the topics up to date.
                self.connection.topics.update(&layouts);
                if !self.connection.is_up() {
                    self.connection.topics.reset_breakers();
                }
                self.connection.availability.mark_up();
                self.check_layouts();
                self.create_or_report_missing().await
            }
            Err(error) => {
                self.connection.availability.mark_down(&error.to_string());
                ClusterState::BrokersDown
            }
        }
    }

    /// Creates the missing topics if the role and the settings allow it; else logs each of them once.
    async fn create_or_report_missing(&mut self) -> ClusterState {
        let missing = self.connection.topics.missing();
        self.log_existing(&missing);
        if missing.is_empty() {
            return ClusterState::Complete;
        }
        if self.role == Role::Backend && self.connection.settings.provision {
            self.create(&missing).await;
            return ClusterState::TopicsMissing;
        }
        for topic in missing {
            if self.is_new_cause(&topic, "the topic does not exist") {
                let Settings { partitions, replication, .. } = &self.connection.settings;
                let fallback = self.connection.topic_names.kind_of(&topic).fallback();
                tracing::warn!(
                    topic,
                    "the topic {topic} does not exist; {fallback}: create it ({partitions} partitions, replication \
                     {replication}), or set kafka.provision = true at a Backend"
                );
            }
        }
        ClusterState::TopicsMissing
    }

    /// Logs the topics that were reported as missing and exist now.
    fn log_existing(&mut self, missing: &[String]) {
        self.outages.retain(|topic, outage| {
            let is_missing = missing.contains(topic);
            if !is_missing && let Some(lasted) = outage.record_success() {
                tracing::info!(topic, "the topic {topic} exists, after {lasted:.1?}");
            }
            is_missing
        });
    }

    /// Records why a topic is missing. `true`: this cause is not logged yet.
    fn is_new_cause(&mut self, topic: &str, cause: &str) -> bool {
        self.outages.entry(topic.to_owned()).or_default().record_failure(cause)
    }

    /// Creates topics, and logs each cause of a failure once.
    async fn create(&mut self, missing: &[String]) {
        for (topic, error) in self.try_create(missing).await {
            if self.is_new_cause(&topic, &error) {
                let fallback = self.connection.topic_names.kind_of(&topic).fallback();
                tracing::warn!(topic, error, "the topic {topic} cannot be created: {error}; {fallback}");
            }
        }
    }

    /// Creates topics. Returns those that failed, with the error.
    async fn try_create(&mut self, missing: &[String]) -> Vec<(String, String)> {
        let connection = self.connection.clone();
        let settings = &connection.settings;
        let retention: Vec<String> =
            missing.iter().map(|topic| retention(&connection, topic).as_millis().to_string()).collect();
        let topics: Vec<NewTopic<'_>> = missing
            .iter()
            .zip(&retention)
            .map(|(topic, retention)| {
                NewTopic::new(topic, settings.partitions, TopicReplication::Fixed(settings.replication))
                    .set("cleanup.policy", "delete")
                    .set("retention.ms", retention)
            })
            .collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(REQUEST_TIMEOUT))
            .request_timeout(Some(REQUEST_TIMEOUT));
        let created = match self.admin_client() {
            Ok(admin) => admin.create_topics(&topics, &options).await,
            Err(error) => Err(error),
        };
        match created {
            Ok(results) => results.into_iter().filter_map(|result| log_creation(settings, result)).collect(),
            Err(error) => missing.iter().map(|topic| (topic.clone(), error.to_string())).collect(),
        }
    }

    fn admin_client(&mut self) -> Result<Arc<AdminClient<BrokerAvailability>>, KafkaError> {
        if let Some(admin) = &self.admin {
            return Ok(admin.clone());
        }
        let availability = self.connection.availability.clone();
        let admin: AdminClient<BrokerAvailability> =
            self.connection.settings.admin().create_with_context(availability)?;
        let admin = Arc::new(admin);
        self.admin = Some(admin.clone());
        Ok(admin)
    }

    async fn drop_admin_client(&mut self) {
        if let Some(admin) = self.admin.take() {
            // Dropping an admin client blocks until its threads have ended.
            spawn_blocking(move || drop(admin)).await.expect("an admin client closes without a panic");
        }
    }

    /// A Backend logs once for each topic in what it differs from the settings.
    fn check_layouts(&mut self) {
        if self.role != Role::Backend {
            return;
        }
        let Settings { partitions, replication, .. } = self.connection.settings;
        for (topic, layout) in self.connection.topics.layouts() {
            if !self.checked.insert(topic.clone()) {
                continue;
            }
            if layout.partitions != partitions {
                let actual = layout.partitions;
                tracing::info!(
                    topic,
                    "the topic {topic} has {actual} partitions; kafka.partitions = {partitions} applies to new topics only"
                );
            }
            if layout.replicas < replication {
                let actual = layout.replicas;
                tracing::warn!(
                    topic,
                    "the topic {topic} is stored on {actual} brokers; kafka.replication = {replication} applies to new topics only"
                );
            }
        }
    }
}

/// Requests the metadata of all topics with our prefix; blocks up to [`REQUEST_TIMEOUT`].
fn fetch_layouts(connection: &Connection) -> Result<BTreeMap<String, TopicLayout>, KafkaError> {
    let prefix = format!("{}.", connection.settings.topic_prefix);
    let metadata = connection.producer().client().fetch_metadata(None, REQUEST_TIMEOUT)?;
    let ours = metadata.topics().iter().filter(|topic| topic.name().starts_with(&prefix));
    Ok(ours.map(|topic| (topic.name().to_owned(), layout(topic))).collect())
}

fn layout(topic: &MetadataTopic) -> TopicLayout {
    let fewest_replicas = topic.partitions().iter().map(|partition| partition.replicas().len()).min();
    let number = |count: usize| i32::try_from(count).unwrap_or(i32::MAX);
    TopicLayout {
        partitions: number(topic.partitions().len()),
        replicas: number(fewest_replicas.unwrap_or(0)),
    }
}

fn retention(connection: &Connection, topic: &str) -> Duration {
    let retention = connection.settings.retention;
    match connection.topic_names.kind_of(topic) {
        TopicKind::Tickets => retention.tickets,
        TopicKind::Results => retention.results,
        TopicKind::DeadLetters => retention.dead_letters,
    }
}

/// Logs a created topic; returns the error of one that was not created.
fn log_creation(
    settings: &Settings,
    result: Result<String, (String, RDKafkaErrorCode)>,
) -> Option<(String, String)> {
    match result {
        Ok(topic) => {
            tracing::info!(topic, partitions = settings.partitions, "created the topic {topic}");
            None
        }
        // Another Backend has created it.
        Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => None,
        Err((topic, code)) => Some((topic, code.to_string())),
    }
}
