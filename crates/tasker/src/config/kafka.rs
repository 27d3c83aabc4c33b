//! The section `[kafka]`: how to reach and use the brokers. Without `bootstrap_servers` there is no Kafka, and workers pull.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use broker::{GroupProtocol, Retention, Sasl, SaslMechanism, Security, Settings};
use secrecy::SecretString;
use serde::Deserialize;

use crate::config::error::ConfigError;
use crate::file_trust;

/// The section `[kafka]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// The brokers as `host:port`, separated by commas. Absent: no Kafka.
    pub bootstrap_servers: Option<String>,
    /// The prefix of the names of topics and consumer groups.
    pub topic_prefix: String,
    /// The number of partitions of a new topic.
    pub partitions: NonZeroU32,
    /// The replication factor of a new topic.
    pub replication: NonZeroU32,
    /// Whether the Backend creates missing topics.
    pub provision: bool,
    /// The retention of tickets.
    pub tickets_retention_hours: NonZeroU32,
    /// The retention of results.
    pub results_retention_hours: NonZeroU32,
    /// The retention of dead letters: messages that could not be read.
    pub dead_letters_retention_hours: NonZeroU32,
    /// The protocol by which consumers of a group share partitions.
    pub group_protocol: GroupProtocol,
    /// Encryption and authentication of connections.
    pub security_protocol: SecurityProtocol,
    /// The SASL mechanism.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// The SASL user name.
    pub sasl_username: Option<String>,
    /// The SASL password.
    pub sasl_password: Option<SecretString>,
    /// The authorities trusted for the brokers. Absent: the system's.
    pub ssl_ca_location: Option<PathBuf>,
    /// Tasker's own certificate (TLS client authentication), followed by its intermediates.
    pub ssl_certificate_location: Option<PathBuf>,
    /// The private key of the certificate.
    pub ssl_key_location: Option<PathBuf>,
    /// The password of an encrypted private key.
    pub ssl_key_password: Option<SecretString>,
    /// Any other properties of librdkafka.
    pub properties: BTreeMap<String, SecretString>,
}

/// The setting `kafka.security_protocol`, accepted in capitals too, as Kafka's documentation writes it.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither encryption nor authentication.
    #[serde(alias = "PLAINTEXT")]
    Plaintext,
    /// TLS without SASL.
    #[serde(alias = "SSL")]
    Ssl,
    /// Authentication by name and password, without encryption.
    #[serde(alias = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// TLS, and authentication by name and password.
    #[serde(alias = "SASL_SSL")]
    SaslSsl,
}

impl Default for Kafka {
    fn default() -> Self {
        let count = |number| NonZeroU32::new(number).expect("a positive default");
        Self {
            bootstrap_servers: None,
            topic_prefix: "tasker".to_owned(),
            partitions: count(12),
            replication: count(1),
            provision: true,
            tickets_retention_hours: count(24),
            results_retention_hours: count(7 * 24),
            dead_letters_retention_hours: count(30 * 24),
            group_protocol: GroupProtocol::default(),
            security_protocol: SecurityProtocol::Plaintext,
            sasl_mechanism: None,
            sasl_username: None,
            sasl_password: None,
            ssl_ca_location: None,
            ssl_certificate_location: None,
            ssl_key_location: None,
            ssl_key_password: None,
            properties: BTreeMap::new(),
        }
    }
}

impl Kafka {
    /// The broker's settings; `None` without Kafka.
    ///
    /// # Errors
    ///
    /// If settings contradict each other or librdkafka refuses one.
    pub fn settings(&self) -> Result<Option<Settings>, ConfigError> {
        let Some(servers) = &self.bootstrap_servers else { return Ok(None) };
        let count = |key: &str, number: NonZeroU32, max: i32| match i32::try_from(number.get()) {
            Ok(number) if number <= max => Ok(number),
            _ => Err(ConfigError::new(format!("kafka.{key} = {number}: at most {max}"))),
        };
        let hours = |hours: NonZeroU32| Duration::from_hours(u64::from(hours.get()));
        let files = self.tls_files().into_iter().filter_map(|(key, path)| Some((key, path?)));
        for (key, path) in files {
            file_trust::check(path).map_err(|error| {
                ConfigError::new(format!("kafka.{key}: {} cannot be used: {error}", path.display()))
            })?;
        }
        let settings = Settings {
            bootstrap_servers: servers.clone(),
            topic_prefix: self.topic_prefix.clone(),
            partitions: count("partitions", self.partitions, 10_000)?,
            replication: count("replication", self.replication, 100)?,
            retention: Retention {
                tickets: hours(self.tickets_retention_hours),
                results: hours(self.results_retention_hours),
                dead_letters: hours(self.dead_letters_retention_hours),
            },
            provision: self.provision,
            group_protocol: self.group_protocol,
            security: self.security()?,
            properties: self.properties.clone(),
        };
        settings.check().map_err(|error| ConfigError::new(error.to_string()))?;
        Ok(Some(settings))
    }

    /// The files of TLS with their settings.
    fn tls_files(&self) -> [(&'static str, Option<&Path>); 3] {
        [
            ("ssl_ca_location", self.ssl_ca_location.as_deref()),
            ("ssl_certificate_location", self.ssl_certificate_location.as_deref()),
            ("ssl_key_location", self.ssl_key_location.as_deref()),
        ]
    }

    fn security(&self) -> Result<Security, ConfigError> {
        let refuse = |sentence: &str| Err(ConfigError::new(sentence));
        let unused = |key: &str, why: &str| Err(ConfigError::new(format!("kafka.{key} is set, and {why}")));
        let (tls, has_sasl) = match self.security_protocol {
            SecurityProtocol::Plaintext => (false, false),
            SecurityProtocol::Ssl => (true, false),
            SecurityProtocol::SaslPlaintext => (false, true),
            SecurityProtocol::SaslSsl => (true, true),
        };
        if let Some((key, _)) = self.tls_files().into_iter().find(|(_, path)| !tls && path.is_some()) {
            return unused(
                key,
                "kafka.security_protocol encrypts nothing: set it to \"ssl\" or \"sasl_ssl\"",
            );
        }
        let certificate = match (&self.ssl_certificate_location, &self.ssl_key_location) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return refuse("kafka.ssl_certificate_location and kafka.ssl_key_location belong together"),
        };
        if self.ssl_key_password.is_some() && certificate.is_none() {
            return unused("ssl_key_password", "kafka.ssl_key_location is not");
        }
        let sasl = match (self.sasl_mechanism, self.sasl_username.clone(), self.sasl_password.clone()) {
            (Some(mechanism), Some(username), Some(password)) if has_sasl => {
                Some(Sasl { mechanism, username, password })
            }
            (None, None, None) if !has_sasl => None,
            _ if has_sasl => {
                return refuse(
                    "kafka.security_protocol requires a name and a password: set kafka.sasl_mechanism, kafka.sasl_username and kafka.sasl_password",
                );
            }
            (mechanism, username, _) => {
                let key = match (mechanism, username) {
                    (Some(_), _) => "sasl_mechanism",
                    (None, Some(_)) => "sasl_username",
                    (None, None) => "sasl_password",
                };
                return unused(key, "kafka.security_protocol has no authentication: set it to \"sasl_ssl\"");
            }
        };
        let (ca, key_password) = (self.ssl_ca_location.clone(), self.ssl_key_password.clone());
        Ok(Security { tls, sasl, ca, certificate, key_password })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::layers::config_of;

    fn settings(settings: &[&str]) -> Result<Option<Settings>, ConfigError> {
        let servers = ["kafka.bootstrap_servers=127.0.0.1:9092"];
        config_of(&[&servers, settings].concat()).kafka.settings()
    }

    #[test]
    fn without_servers_there_is_no_kafka_and_with_them_the_defaults() {
        assert!(Kafka::default().settings().unwrap().is_none());
        let plain = settings(&[]).unwrap().unwrap();
        assert_eq!(format!("{plain:?}"), format!("{:?}", Settings::new("127.0.0.1:9092")));
        let rack = settings(&[r#"kafka.properties={ "client.rack" = "a" }"#]).unwrap().unwrap();
        assert_eq!(rack.properties["client.rack"].expose_secret(), "a");
    }

    #[test]
    fn incomplete_credentials_are_refused_with_what_is_missing() {
        let refusal = |all: &[&str]| settings(all).unwrap_err().to_string();
        let sasl = ["kafka.security_protocol=SASL_SSL", "kafka.sasl_mechanism=SCRAM-SHA-512"];
        assert!(refusal(&sasl).contains("kafka.sasl_password"));
        assert!(refusal(&["kafka.sasl_username=u"]).contains("set it to \"sasl_ssl\""));
        assert!(refusal(&["kafka.ssl_ca_location=ca.pem"]).contains("encrypts nothing"));
        let half = ["kafka.security_protocol=ssl", "kafka.ssl_key_location=key.pem"];
        assert!(refusal(&half).contains("belong together"));
        assert!(refusal(&["kafka.partitions=10001"]).contains("at most 10000"));
        assert!(refusal(&[r#"kafka.properties={ acks = "0" }"#]).starts_with("kafka.properties.acks: "));
        let whole = [&sasl[..], &["kafka.sasl_username=u", "kafka.sasl_password=p"]].concat();
        assert!(settings(&whole).unwrap().unwrap().security.sasl.is_some());
    }
}
