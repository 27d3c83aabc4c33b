//! `kafka.properties`: which of librdkafka's properties may be set there, and why librdkafka rejects one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;
use secrecy::{ExposeSecret, SecretString};

/// Properties for which Tasker has a setting of its own, and the name of that setting.
const HAS_OWN_SETTING: [(&str, &str); 16] = [
    ("bootstrap.servers", "bootstrap_servers"),
    ("group.protocol", "group_protocol"),
    ("metadata.broker.list", "bootstrap_servers"),
    ("partition.assignment.strategy", "group_protocol"),
    ("sasl.mechanism", "sasl_mechanism"),
    ("sasl.mechanisms", "sasl_mechanism"),
    ("sasl.password", "sasl_password"),
    ("sasl.username", "sasl_username"),
    ("security.protocol", "security_protocol"),
    ("ssl.ca.location", "ssl_ca_location"),
    ("ssl.certificate.location", "ssl_certificate_location"),
    ("ssl.certificate.pem", "ssl_certificate_location"),
    ("ssl.key.location", "ssl_key_location"),
    ("ssl.key.password", "ssl_key_password"),
    ("ssl.key.pem", "ssl_key_location"),
    ("ssl.keystore.location", "ssl_certificate_location"),
];

/// Properties on whose values Tasker's guarantees depend.
const RESERVED: [&str; 8] = [
    "acks",
    "delivery.report.only.error",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "group.id",
    "request.required.acks",
    "transactional.id",
];

/// Properties that would allow another host to impersonate a broker, unless they have this value.
const UNSAFE: [(&str, &str); 2] =
    [("enable.ssl.certificate.verification", "true"), ("ssl.endpoint.identification.algorithm", "https")];

/// Shorter values, in bytes, are not redacted: they are part of other words, and no secrets.
const MIN_REDACTED_BYTES: usize = 4;

/// Why a property must not be set; `None` if it may be.
pub(crate) fn rule(key: &str, value: &SecretString) -> Option<Cow<'static, str>> {
    if let Some((_, ours)) = HAS_OWN_SETTING.iter().find(|(name, _)| *name == key) {
        return Some(format!("it has a setting of its own, kafka.{ours}").into());
    }
    if RESERVED.contains(&key) {
        return Some("Tasker's guarantees depend on it".into());
    }
    UNSAFE.iter().any(|(name, safe)| *name == key && value.expose_secret() != *safe).then(|| {
        "another host could impersonate the broker; name the broker's authority in kafka.ssl_ca_location"
            .into()
    })
}

/// librdkafka's reason for rejecting a property, with values removed since they may be secrets.
pub(crate) fn rejection(error: &KafkaError, properties: &BTreeMap<String, SecretString>) -> String {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, key, _) => {
            format!("librdkafka has no property {key}")
        }
        KafkaError::ClientConfig(_, _, key, _) => format!("librdkafka rejects the value of {key}"),
        other => {
            let values = properties
                .values()
                .map(SecretString::expose_secret)
                .filter(|value| value.len() >= MIN_REDACTED_BYTES);
            let text = values.fold(other.to_string(), |text, value| text.replace(value, "…"));
            format!("librdkafka rejects the settings of kafka: {text}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_with_its_own_setting_or_a_guarantee_is_refused() {
        let rule = |key, value: &str| rule(key, &SecretString::from(value));
        assert_eq!(rule("client.rack", "a"), None);
        assert_eq!(rule("ssl.endpoint.identification.algorithm", "https"), None);
        for (key, reason) in [
            ("acks", "guarantees"),
            ("metadata.broker.list", "kafka.bootstrap_servers"),
            ("sasl.username", "kafka.sasl_username"),
            ("enable.ssl.certificate.verification", "impersonate the broker"),
        ] {
            let refusal = rule(key, "0").expect(key);
            assert!(refusal.contains(reason), "{key}: {refusal}");
        }
    }

    #[test]
    fn a_rejection_contains_no_values() {
        let properties = [("sasl.oauthbearer.config".to_owned(), SecretString::from("hush-hush"))].into();
        let text = |error| rejection(&error, &properties);
        let config = |result| {
            let texts = ["Invalid value \"hush-hush\"", "a.key", "hush-hush"].map(str::to_owned);
            let [description, key, value] = texts;
            KafkaError::ClientConfig(result, description, key, value)
        };
        let refused = text(config(RDKafkaConfRes::RD_KAFKA_CONF_INVALID));
        assert_eq!(refused, "librdkafka rejects the value of a.key");
        let unknown = text(config(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN));
        assert_eq!(unknown, "librdkafka has no property a.key");
        let refused = text(KafkaError::ClientCreation("nothing to do with hush-hush".to_owned()));
        assert_eq!(
            refused,
            "librdkafka rejects the settings of kafka: Client creation error: nothing to do with …"
        );
    }
}
