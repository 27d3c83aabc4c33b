//! How Kafka is reached and used: the settings, what of them is refused, and the properties of librdkafka they become.

use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use serde::Deserialize;

use crate::librdkafka_properties;

/// How Kafka is reached and used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `host:port`, several with commas between them.
    pub bootstrap_servers: String,
    /// What every topic's and every group's name begins with, before a dot.
    pub topic_prefix: String,
    /// How many partitions a topic is made with. Load divides by them.
    pub partitions: i32,
    /// How many brokers keep each message.
    pub replication: i32,
    /// How long messages are kept.
    pub retention: Retention,
    /// Whether the Backend makes topics that are missing.
    pub provision: bool,
    /// How members of a group share its partitions.
    pub group_protocol: GroupProtocol,
    /// Who may read along, and who we are.
    pub security: Security,
    /// Anything else that librdkafka knows; some of it opens doors.
    pub properties: BTreeMap<String, SecretString>,
}

/// How long the messages of each kind of topic are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Tickets: what is lost of them is offered again.
    pub tickets: Duration,
    /// Results: longer than the longest outage of all Backends.
    pub results: Duration,
    /// What could not be read.
    pub dead: Duration,
}

/// How members of a group share its partitions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupProtocol {
    /// By agreement among the clients, moving only what must move (KIP-429). Any broker of the last years.
    #[default]
    Classic,
    /// As the broker says (KIP-848). Kafka 4.0 and newer.
    Consumer,
}

/// The way to the brokers.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Whether the way is encrypted.
    pub tls: bool,
    /// Who we are, by name and password.
    pub sasl: Option<Sasl>,
    /// PEM file of the authorities that brokers are checked against. Absent: those of the system.
    pub ca: Option<PathBuf>,
    /// PEM files of our own certificate and its key, for brokers that want one.
    pub certificate: Option<(PathBuf, PathBuf)>,
    /// The password of the key.
    pub key_password: Option<SecretString>,
}

/// A name and its password.
#[derive(Debug, Clone)]
pub struct Sasl {
    /// How they are shown to the broker.
    pub mechanism: SaslMechanism,
    /// The name.
    pub username: String,
    /// The password.
    pub password: SecretString,
}

/// How a password is shown to the broker (RFC 4616, RFC 5802).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SaslMechanism {
    /// As it is: on encrypted ways only.
    #[serde(rename = "PLAIN")]
    Plain,
    /// By a proof that does not tell it, with SHA-256.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with SHA-512.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

/// A setting that would break a promise or open a door.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("kafka.{key}: {rule}")]
pub struct InvalidSetting {
    key: String,
    rule: Cow<'static, str>,
}

impl Settings {
    /// The usual ones for these brokers, unencrypted.
    pub fn of(bootstrap_servers: &str) -> Self {
        let days = |days: u64| Duration::from_hours(24 * days);
        Self {
            bootstrap_servers: bootstrap_servers.to_owned(),
            topic_prefix: "tasker".to_owned(),
            partitions: 12,
            replication: 1,
            retention: Retention { tickets: days(1), results: days(7), dead: days(30) },
            provision: true,
            group_protocol: GroupProtocol::default(),
            security: Security::default(),
            properties: BTreeMap::new(),
        }
    }

    /// Refuses what would break a promise or open a door.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let refuse =
            |key: &str, rule: &'static str| Err(InvalidSetting { key: key.to_owned(), rule: rule.into() });
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if self.bootstrap_servers.split(',').any(|server| server.trim().is_empty()) {
            return refuse("bootstrap_servers", "host:port, several with commas between them");
        }
        // A topic's name has 249 characters at most, and a queue's name 100.
        if !(1..=100).contains(&self.topic_prefix.len()) || !self.topic_prefix.bytes().all(fits) {
            return refuse("topic_prefix", "1 to 100 letters, digits, dots, underscores or hyphens");
        }
        if self.security.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == SaslMechanism::Plain)
            && !self.security.tls
            && !self.is_loopback()
        {
            return refuse("sasl_mechanism", "PLAIN shows the password to the network: use it with TLS only");
        }
        // librdkafka says that a file cannot be read, and not which one.
        let files = [("ssl_ca_location", self.security.ca.as_ref())].into_iter();
        let own = self.security.certificate.as_ref();
        let files = files.chain([
            ("ssl_certificate_location", own.map(|(certificate, _)| certificate)),
            ("ssl_key_location", own.map(|(_, key)| key)),
        ]);
        for (key, path) in files.filter_map(|(key, path)| Some((key, path?))) {
            if let Err(error) = std::fs::File::open(path) {
                return Err(InvalidSetting {
                    key: key.to_owned(),
                    rule: format!("the file {} cannot be read: {error}", path.display()).into(),
                });
            }
        }
        match self
            .properties
            .iter()
            .find_map(|(key, value)| Some((key, librdkafka_properties::rule(key, value)?)))
        {
            Some((key, rule)) => Err(InvalidSetting { key: format!("properties.{key}"), rule }),
            None => Ok(()),
        }
    }

    /// What its user should hear of at the start.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if !self.is_loopback() {
            if !self.security.tls {
                warnings.push("kafka: what goes to the brokers is not encrypted, and anybody on the way can read it; set kafka.security_protocol");
            }
            if self.replication == 1 {
                warnings.push("kafka.replication = 1: a result that waits on a broker which is lost is lost with it, and reported again by its worker; use 3");
            }
        }
        warnings
    }

    fn is_loopback(&self) -> bool {
        let host = |server: &str| {
            server.trim().rsplit_once(':').map_or(server.to_owned(), |(host, _)| host.to_owned())
        };
        let is_loopback = |host: &str| {
            let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            host == "localhost" || ip.is_ok_and(|ip| ip.to_canonical().is_loopback())
        };
        self.bootstrap_servers.split(',').all(|server| is_loopback(&host(server)))
    }

    /// What every client of ours has in common.
    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("client.id", "tasker")
            .set("bootstrap.servers", &self.bootstrap_servers)
            .set("socket.keepalive.enable", "true")
            // Back within a second of the brokers.
            .set("reconnect.backoff.max.ms", "1000")
            .set("topic.metadata.refresh.interval.ms", "10000")
            .set("allow.auto.create.topics", "false");
        self.security.put(&mut client);
        client
    }

    /// A client that makes topics.
    pub(crate) fn admin(&self) -> ClientConfig {
        let mut admin = self.client();
        self.put_properties(&mut admin);
        admin
    }

    /// A client that sends: nothing is lost or doubled by it, and what cannot be sent is given up soon, for others see to
    /// it then.
    pub(crate) fn producer(&self) -> ClientConfig {
        let mut producer = self.client();
        producer
            .set("linger.ms", "1")
            .set("compression.type", "lz4")
            .set("message.timeout.ms", "10000")
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("message.max.bytes", "2000000");
        self.put_properties(&mut producer);
        producer.set("acks", "all").set("enable.idempotence", "true");
        producer
    }

    /// A member of `group`. It fetches little ahead, and says itself what is done.
    pub(crate) fn consumer(&self, group: &str) -> ClientConfig {
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
                .set("session.timeout.ms", "15000")
                .set("partition.assignment.strategy", "cooperative-sticky"),
            GroupProtocol::Consumer => consumer.set("group.protocol", "consumer"),
        };
        self.put_properties(&mut consumer);
        consumer
            .set("group.id", group)
            .set("enable.auto.commit", "true")
            .set("enable.auto.offset.store", "false");
        consumer
    }

    fn put_properties(&self, client: &mut ClientConfig) {
        for (key, value) in &self.properties {
            client.set(key, value.expose_secret());
        }
    }
}

impl Security {
    fn put(&self, client: &mut ClientConfig) {
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
        Settings { properties, ..Settings::of("127.0.0.1:9092") }
    }

    #[test]
    fn a_property_that_is_not_ours_goes_through() {
        assert_eq!(with("client.rack", "a").check(), Ok(()));
        let refusal = with("acks", "0").check().unwrap_err().to_string();
        assert!(refusal.starts_with("kafka.properties.acks: "), "{refusal}");
        assert_eq!(with("linger.ms", "50").producer().get("linger.ms"), Some("50"));
    }

    #[test]
    fn an_open_way_is_told_of_outside_loopback_only() {
        let warnings = |servers| Settings::of(servers).warnings().len();
        assert_eq!(warnings("127.0.0.1:1, [::1]:2,localhost:3"), 0);
        assert_eq!(warnings("127.0.0.1:1,kafka.example.org:9092"), 2);
        let password = SecretString::from("hush");
        let sasl = Sasl { mechanism: SaslMechanism::Plain, username: "u".to_owned(), password };
        let security = Security { sasl: Some(sasl), ..Security::default() };
        let open = Settings { security, ..Settings::of("kafka.example.org:9092") };
        assert!(open.check().unwrap_err().to_string().starts_with("kafka.sasl_mechanism: "));
        assert!(!format!("{open:?}").contains("hush"));
        assert!(!format!("{:?}", with("sasl.oauthbearer.client.secret", "hush")).contains("hush"));
    }

    #[test]
    fn the_group_protocols_exclude_each_others_properties() {
        let settings = |group_protocol| Settings { group_protocol, ..Settings::of("127.0.0.1:1") };
        let classic = settings(GroupProtocol::Classic).consumer("g");
        assert_eq!(classic.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        let new = settings(GroupProtocol::Consumer).consumer("g");
        assert_eq!((new.get("group.protocol"), new.get("session.timeout.ms")), (Some("consumer"), None));
    }
}
