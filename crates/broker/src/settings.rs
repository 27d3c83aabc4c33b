//! The settings of Kafka: validation, warnings, and the properties of librdkafka that they become.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use domain::is_loopback_host;
use rdkafka::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::allowed_properties;

/// How a process connects to Kafka and creates topics.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port` of one or more brokers, separated by commas.
    pub bootstrap_servers: String,
    /// The prefix of the names of all topics and consumer groups; a dot follows it.
    pub topic_prefix: String,
    /// The number of partitions of a new topic; at most this many consumers share its load.
    pub partitions: i32,
    /// The replication factor of a new topic: how many brokers store each message.
    pub replication: i32,
    /// The retention of new topics.
    pub retention: Retention,
    /// Whether a Backend creates missing topics.
    pub provision: bool,
    /// The protocol by which a consumer group assigns its partitions.
    pub group_protocol: GroupProtocol,
    /// Encryption and authentication.
    pub security: Security,
    /// Further properties of librdkafka. Their values may be secrets.
    pub properties: BTreeMap<String, SecretString>,
}

/// How long the messages of each kind of topic are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// For tickets. An expired ticket is republished while its task is ready.
    pub tickets: Duration,
    /// For results. Must exceed the longest outage of all Backends.
    pub results: Duration,
    /// For dead letters.
    pub dead_letters: Duration,
}

/// A consumer group.
#[derive(Debug, Clone)]
pub(crate) struct ConsumerGroup {
    name: String,
    /// After how many milliseconds of silence a member's partitions go to the others, with the classic protocol.
    session_timeout_ms: u32,
}

impl ConsumerGroup {
    /// The group of the workers that consume the tickets of a queue. A ticket that waits for a lost worker is published again.
    pub(crate) fn of_workers(name: String) -> Self {
        Self { name, session_timeout_ms: 15_000 }
    }

    /// The group of the Backends, which consume the results: the results in the partitions of a lost Backend must count before
    /// their workers, if those are lost too, have been silent for `backend.worker_lost_ms`. It is the shortest time that brokers allow
    /// by default (`group.min.session.timeout.ms`).
    pub(crate) fn of_backends(name: String) -> Self {
        Self { name, session_timeout_ms: 6_000 }
    }
}

/// The protocol by which a consumer group assigns its partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// The clients assign them, incrementally (cooperative rebalancing, KIP-429). Brokers since Kafka 2.4.
    #[default]
    Classic,
    /// The broker assigns them (KIP-848). Brokers since Kafka 4.0.
    Consumer,
}

/// Encryption and authentication towards the brokers.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Whether connections use TLS.
    pub tls: bool,
    /// SASL authentication by name and password.
    pub sasl: Option<Sasl>,
    /// PEM file of the authorities that sign the brokers' certificates. Absent: the system's authorities.
    pub ca: Option<PathBuf>,
    /// PEM files of the client certificate and of its key, for brokers that require one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The password of the client certificate's key.
    pub key_password: Option<SecretString>,
}

/// SASL credentials.
#[derive(Debug, Clone)]
pub struct Sasl {
    /// How the client proves that it has the password.
    pub mechanism: SaslMechanism,
    /// The user name.
    pub username: String,
    /// The user's password.
    pub password: SecretString,
}

/// A SASL mechanism with passwords (RFC 4616, RFC 5802).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// The password in plain text; allowed only over TLS or to loopback addresses.
    #[serde(rename = "PLAIN")]
    Plain,
    /// Challenge and response with SHA-256, which does not reveal the password.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// Challenge and response with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// A setting that is malformed, or would break a guarantee or expose secrets. The text never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kafka.{key}: {rule}")]
pub struct InvalidSetting {
    key: String,
    rule: Cow<'static, str>,
}

impl Settings {
    /// The default settings for these brokers, without encryption.
    pub fn new(bootstrap_servers: &str) -> Self {
        let days = |days: u64| Duration::from_hours(24 * days);
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic_prefix: "tasker".to_owned(),
            partitions: 12,
            replication: 1,
            retention: Retention { tickets: days(1), results: days(7), dead_letters: days(30) },
            provision: true,
            group_protocol: GroupProtocol::default(),
            security: Security::default(),
            properties: BTreeMap::new(),
        }
    }

    /// Refuses malformed settings, and those that would break a guarantee or expose secrets. Reads no file's content, but
    /// checks that each can be opened.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let refuse =
            |key: &str, rule: &'static str| Err(InvalidSetting { key: key.to_owned(), rule: rule.into() });
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if self.bootstrap_servers.split(',').any(|server| server.trim().is_empty()) {
            return refuse("bootstrap_servers", "must be host:port, several separated by commas");
        }
        // Kafka allows 249 characters in a topic's name, of which a queue's name takes up to 100.
        if !(1..=100).contains(&self.topic_prefix.len()) || !self.topic_prefix.bytes().all(is_allowed) {
            return refuse(
                "topic_prefix",
                "must have 1 to 100 letters, digits, dots, underscores or hyphens",
            );
        }
        if self.security.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == SaslMechanism::Plain)
            && !self.security.tls
            && !self.is_loopback()
        {
            return refuse("sasl_mechanism", "PLAIN sends the password in plain text; use it with TLS only");
        }
        self.security.check_files()?;
        match self
            .properties
            .iter()
            .find_map(|(key, value)| Some((key, allowed_properties::rule(key, value)?)))
        {
            Some((key, rule)) => Err(InvalidSetting { key: format!("properties.{key}"), rule }),
            None => Ok(()),
        }
    }

    /// Warnings for the log at the start of a process.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if !self.is_loopback() {
            if !self.security.tls {
                warnings.push("kafka: connections to the brokers are not encrypted, so results can be read on the network; set kafka.security_protocol");
            }
            if self.replication == 1 {
                warnings.push("kafka.replication = 1: if a broker is lost, its unprocessed results are lost too, and their workers report them again; use 3");
            }
        }
        warnings
    }

    fn is_loopback(&self) -> bool {
        let host = |server: &str| {
            server.trim().rsplit_once(':').map_or(server.to_owned(), |(host, _)| host.to_owned())
        };
        self.bootstrap_servers.split(',').all(|server| is_loopback_host(&host(server)))
    }

    /// The properties that all clients share.
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("client.id", "tasker")
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("socket.keepalive.enable", "true")
            // Reconnect within a second once the brokers are back.
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("allow.auto.create.topics", "false");
        self.security.apply(&mut client);
        client
    }

    /// The properties of the admin client, which creates topics.
    pub(crate) fn admin(&self) -> ClientConfig {
        let mut admin = self.client();
        self.apply_properties(&mut admin);
        admin
    }

    /// The properties of the producer. It is idempotent, so retries neither lose nor duplicate a message; a message that cannot
    /// be delivered fails after 10 seconds, since tickets are republished and results are reported over HTTP.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut producer = self.client();
        producer
            .set("linger.ms", "1")
            .set("compression.type", "lz4")
            .set("message.timeout.ms", "10000")
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("message.max.bytes", "2000000");
        self.apply_properties(&mut producer);
        producer.set("acks", "all").set("enable.idempotence", "true");
        producer
    }

    /// The properties of a consumer in `group`. It prefetches little, so that busy members hold few messages, and stores only
    /// offsets of messages that were decided.
    pub(crate) fn consumer(&self, group: &ConsumerGroup) -> ClientConfig {
        let mut consumer = self.client();
        consumer
            .set("auto.offset.reset", "earliest")
            .set("auto.commit.interval.ms", "1000")
            .set("queued.min.messages", "64")
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.queue.backoff.ms", "20")
            .set("fetch.wait.max.ms", "100")
            .set("statistics.interval.ms", "10000")
            .set("max.poll.interval.ms", "60000");
        match self.group_protocol {
            GroupProtocol::Classic => consumer
                .set("session.timeout.ms", group.session_timeout_ms.to_string())
                .set("heartbeat.interval.ms", (group.session_timeout_ms / 5).to_string())
                .set("partition.assignment.strategy", "cooperative-sticky"),
            GroupProtocol::Consumer => consumer.set("group.protocol", "consumer"),
        };
        self.apply_properties(&mut consumer);
        consumer
            .set("group.id", &group.name)
            .set("enable.auto.commit", "true")
            .set("enable.auto.offset.store", "false");
        consumer
    }

    fn apply_properties(&self, client: &mut ClientConfig) {
        for (key, value) in &self.properties {
            client.set(key, value.expose_secret());
        }
    }
}

impl Security {
    /// Checks that every file can be opened: librdkafka's own error does not name the file.
    fn check_files(&self) -> Result<(), InvalidSetting> {
        let certificate = self.certificate.as_ref();
        let files = [
            ("ssl_ca_location", self.ca.as_ref()),
            ("ssl_certificate_location", certificate.map(|(certificate, _)| certificate)),
            ("ssl_key_location", certificate.map(|(_, key)| key)),
        ];
        for (key, path) in files.into_iter().filter_map(|(key, path)| Some((key, path?))) {
            if let Err(error) = std::fs::File::open(path) {
                return Err(InvalidSetting {
                    key: key.to_owned(),
                    rule: format!("the file {} cannot be read: {error}", path.display()).into(),
                });
            }
        }
        Ok(())
    }

    /// Sets the properties of TLS and SASL.
    fn apply(&self, client: &mut ClientConfig) {
        let protocol = match (self.tls, self.sasl.is_some()) {
            (false, false) => "plaintext",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (true, true) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if let Some(sasl) = &self.sasl {
            let mechanism = match sasl.mechanism {
                SaslMechanism::Plain => "PLAIN",
                SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
                SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            client
                .set("sasl.mechanisms", mechanism)
                .set("sasl.username", &sasl.username)
                .set("sasl.password", sasl.password.expose_secret());
        }
        if let Some(ca) = &self.ca {
            client.set("ssl.ca.location", ca.to_string_lossy());
        }
        if let Some((certificate, key)) = &self.certificate {
            client
                .set("ssl.certificate.location", certificate.to_string_lossy())
                .set("ssl.key.location", key.to_string_lossy());
        }
        if let Some(password) = &self.key_password {
            client.set("ssl.key.password", password.expose_secret());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str) -> Settings {
        let properties = [(key.to_owned(), SecretString::from(value))].into();
        Settings { properties, ..Settings::new("127.0.0.1:9092") }
    }

    #[test]
    fn a_property_without_its_own_setting_is_passed_to_librdkafka() {
        assert_eq!(with("client.rack", "a").check(), Ok(()));
        let refusal = with("acks", "0").check().unwrap_err().to_string();
        assert!(refusal.starts_with("kafka.properties.acks: "), "{refusal}");
        assert_eq!(with("linger.ms", "50").producer().get("linger.ms"), Some("50"));
    }

    #[test]
    fn plain_text_is_warned_of_or_refused_outside_loopback_only() {
        let warnings = |servers| Settings::new(servers).warnings().len();
        assert_eq!(warnings("127.0.0.1:1, [::1]:2,localhost:3,kafka.localhost:4"), 0);
        assert_eq!(warnings("127.0.0.1:1,kafka.example.org:9092"), 2);
        let password = SecretString::from("hush");
        let sasl = Sasl { mechanism: SaslMechanism::Plain, username: "u".to_owned(), password };
        let security = Security { sasl: Some(sasl), ..Security::default() };
        let plain_text = Settings { security, ..Settings::new("kafka.example.org:9092") };
        assert!(plain_text.check().unwrap_err().to_string().starts_with("kafka.sasl_mechanism: "));
        assert!(!format!("{plain_text:?}").contains("hush"));
        assert!(!format!("{:?}", with("sasl.oauthbearer.client.secret", "hush")).contains("hush"));
    }

    #[test]
    fn each_group_protocol_sets_its_own_properties_only() {
        let settings = |group_protocol| Settings { group_protocol, ..Settings::new("127.0.0.1:1") };
        let group = ConsumerGroup::of_backends("g".to_owned());
        let classic = settings(GroupProtocol::Classic).consumer(&group);
        assert_eq!(classic.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        let new = settings(GroupProtocol::Consumer).consumer(&group);
        assert_eq!((new.get("group.protocol"), new.get("session.timeout.ms")), (Some("consumer"), None));
    }
}
