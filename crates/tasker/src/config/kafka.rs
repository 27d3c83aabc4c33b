//! `[kafka]`: how the brokers are reached and used; without `bootstrap_servers` there is no Kafka, and workers pull.

use secrecy::SecretString;
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use broker::{GroupProtocol, Retention, Sasl, SaslMechanism, Security, Settings};
use serde::Deserialize;

use crate::config::ConfigError;

/// `[kafka]`
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// `host:port`, several with commas between them. Absent: no Kafka.
    pub bootstrap_servers: Option<String>,
    /// What topics and groups begin with.
    pub topic_prefix: String,
    /// How many partitions a topic is made with.
    pub partitions: NonZeroU32,
    /// How many brokers keep each message.
    pub replication: NonZeroU32,
    /// Whether the Backend makes topics that are missing.
    pub provision: bool,
    /// How long tickets are kept.
    pub tickets_retention_hours: NonZeroU32,
    /// How long results are kept.
    pub results_retention_hours: NonZeroU32,
    /// How long is kept what could not be read.
    pub dead_letters_retention_hours: NonZeroU32,
    /// How members of a group share its partitions.
    pub group_protocol: GroupProtocol,
    /// Whether the way is encrypted, and whether we say who we are.
    pub security_protocol: SecurityProtocol,
    /// How the password is shown.
    pub sasl_mechanism: Option<SaslMechanism>,
    /// Who we are.
    pub sasl_username: Option<String>,
    /// Its password.
    pub sasl_password: Option<SecretString>,
    /// The authorities that brokers are checked against. Absent: the system's.
    pub ssl_ca_location: Option<PathBuf>,
    /// Our own certificate, and what it leads back to.
    pub ssl_certificate_location: Option<PathBuf>,
    /// The certificate's key.
    pub ssl_key_location: Option<PathBuf>,
    /// The key's password.
    pub ssl_key_password: Option<SecretString>,
    /// Anything else that librdkafka knows.
    pub properties: BTreeMap<String, SecretString>,
}

/// `kafka.security_protocol`, also in capitals, as Kafka's own documentation writes it
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither.
    #[serde(alias = "PLAINTEXT")]
    Plaintext,
    /// Encrypted.
    #[serde(alias = "SSL")]
    Ssl,
    /// By name and password.
    #[serde(alias = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// Both.
    #[serde(alias = "SASL_SSL")]
    SaslSsl,
}

impl Default for Kafka {
    fn default() -> Self {
        let count = |number| NonZeroU32::new(number).expect("our own number");
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
    /// What the broker is told, or nothing where there is none; refuses what makes no sense.
    pub fn settings(&self) -> Result<Option<Settings>, ConfigError> {
        let Some(servers) = &self.bootstrap_servers else { return Ok(None) };
        let count = |key: &str, number: NonZeroU32, most: i32| match i32::try_from(number.get()) {
            Ok(number) if number <= most => Ok(number),
            _ => Err(ConfigError::new(format!("kafka.{key} = {number}: at most {most}"))),
        };
        let hours = |hours: NonZeroU32| Duration::from_hours(u64::from(hours.get()));
        let settings = Settings {
            bootstrap_servers: servers.clone(),
            topic_prefix: self.topic_prefix.clone(),
            partitions: count("partitions", self.partitions, 10_000)?,
            replication: count("replication", self.replication, 100)?,
            retention: Retention {
                tickets: hours(self.tickets_retention_hours),
                results: hours(self.results_retention_hours),
                dead: hours(self.dead_letters_retention_hours),
            },
            provision: self.provision,
            group_protocol: self.group_protocol,
            security: self.security()?,
            properties: self.properties.clone(),
        };
        settings.check().map_err(|error| ConfigError::new(error.to_string()))?;
        Ok(Some(settings))
    }

    fn security(&self) -> Result<Security, ConfigError> {
        let refuse = |sentence: &str| Err(ConfigError::new(sentence));
        let useless = |key: &str, why: &str| Err(ConfigError::new(format!("kafka.{key} is set, and {why}")));
        let (tls, by_name) = match self.security_protocol {
            SecurityProtocol::Plaintext => (false, false),
            SecurityProtocol::Ssl => (true, false),
            SecurityProtocol::SaslPlaintext => (false, true),
            SecurityProtocol::SaslSsl => (true, true),
        };
        let files = [
            ("ssl_ca_location", &self.ssl_ca_location),
            ("ssl_certificate_location", &self.ssl_certificate_location),
            ("ssl_key_location", &self.ssl_key_location),
        ];
        if let Some((key, _)) = files.into_iter().find(|(_, path)| !tls && path.is_some()) {
            return useless(key, "kafka.security_protocol encrypts nothing: say \"ssl\" or \"sasl_ssl\"");
        }
        let certificate = match (&self.ssl_certificate_location, &self.ssl_key_location) {
            (Some(certificate), Some(key)) => Some((certificate.clone(), key.clone())),
            (None, None) => None,
            _ => return refuse("kafka.ssl_certificate_location and kafka.ssl_key_location belong together"),
        };
        if self.ssl_key_password.is_some() && certificate.is_none() {
            return useless("ssl_key_password", "kafka.ssl_key_location is not");
        }
        let sasl = match (self.sasl_mechanism, self.sasl_username.clone(), self.sasl_password.clone()) {
            (Some(mechanism), Some(username), Some(password)) if by_name => {
                Some(Sasl { mechanism, username, password })
            }
            (None, None, None) if !by_name => None,
            _ if by_name => {
                return refuse(
                    "kafka.security_protocol says who we are by name: set kafka.sasl_mechanism, kafka.sasl_username and kafka.sasl_password",
                );
            }
            (mechanism, username, _) => {
                let key = match (mechanism, username) {
                    (Some(_), _) => "sasl_mechanism",
                    (None, Some(_)) => "sasl_username",
                    (None, None) => "sasl_password",
                };
                return useless(key, "kafka.security_protocol asks for no name: say \"sasl_ssl\"");
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
    use crate::config::config;

    fn settings(settings: &[&str]) -> Result<Option<Settings>, ConfigError> {
        let servers = ["kafka.bootstrap_servers=127.0.0.1:9092"];
        config(&[&servers, settings].concat()).kafka.settings()
    }

    #[test]
    fn without_servers_there_is_no_kafka_and_with_them_the_usual_settings() {
        assert!(Kafka::default().settings().unwrap().is_none());
        let plain = settings(&[]).unwrap().unwrap();
        assert_eq!(format!("{plain:?}"), format!("{:?}", Settings::of("127.0.0.1:9092")));
        let rack = settings(&[r#"kafka.properties={ "client.rack" = "a" }"#]).unwrap().unwrap();
        assert_eq!(rack.properties["client.rack"].expose_secret(), "a");
    }

    #[test]
    fn half_a_proof_is_refused_with_what_is_missing() {
        let refusal = |all: &[&str]| settings(all).unwrap_err().to_string();
        let sasl = ["kafka.security_protocol=SASL_SSL", "kafka.sasl_mechanism=SCRAM-SHA-512"];
        assert!(refusal(&sasl).contains("kafka.sasl_password"));
        assert!(refusal(&["kafka.sasl_username=u"]).contains("say \"sasl_ssl\""));
        assert!(refusal(&["kafka.ssl_ca_location=ca.pem"]).contains("encrypts nothing"));
        let half = ["kafka.security_protocol=ssl", "kafka.ssl_key_location=key.pem"];
        assert!(refusal(&half).contains("belong together"));
        assert!(refusal(&["kafka.partitions=10001"]).contains("at most 10000"));
        assert!(refusal(&[r#"kafka.properties={ acks = "0" }"#]).starts_with("kafka.properties.acks: "));
        let whole = [&sasl[..], &["kafka.sasl_username=u", "kafka.sasl_password=p"]].concat();
        assert!(settings(&whole).unwrap().unwrap().security.sasl.is_some());
    }
}
