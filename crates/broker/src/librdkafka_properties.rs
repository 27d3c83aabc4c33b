//! `kafka.properties`: which of librdkafka's may be set there, and what it says of them, without their values.

use secrecy::{ExposeSecret, SecretString};
use std::borrow::Cow;
use std::collections::BTreeMap;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaConfRes;

/// What has a setting of its own, under each of its names.
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

/// What the promises rest on.
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

/// What would let anybody play the broker, unless it has this value.
const UNSAFE: [(&str, &str); 2] =
    [("enable.ssl.certificate.verification", "true"), ("ssl.endpoint.identification.algorithm", "https")];

/// A value that is shorter than this stands in other words, too, and is no secret.
const SHORTEST: usize = 4;

/// Why a property may not be set, if it may not.
pub(crate) fn rule(key: &str, value: &SecretString) -> Option<Cow<'static, str>> {
    if let Some((_, ours)) = HAS_OWN_SETTING.iter().find(|(name, _)| *name == key) {
        return Some(format!("it has a setting of its own, kafka.{ours}").into());
    }
    if RESERVED.contains(&key) {
        return Some("Tasker's promises rest on it".into());
    }
    UNSAFE
        .iter()
        .any(|(name, safe)| *name == key && value.expose_secret() != *safe)
        .then(|| "anybody could play the broker; name its authority in kafka.ssl_ca_location".into())
}

/// What librdkafka has against the settings. It repeats values, and one may be a secret.
pub(crate) fn refusal(error: &KafkaError, properties: &BTreeMap<String, SecretString>) -> String {
    match error {
        KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, key, _) => {
            format!("librdkafka knows no property {key}")
        }
        KafkaError::ClientConfig(_, _, key, _) => format!("librdkafka takes no such value of {key}"),
        other => {
            let values =
                properties.values().map(SecretString::expose_secret).filter(|value| value.len() >= SHORTEST);
            let said = values.fold(other.to_string(), |said, value| said.replace(value, "…"));
            format!("librdkafka refuses the settings of kafka: {said}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_setting_or_a_promise_cannot_be_set() {
        let rule = |key, value: &str| rule(key, &SecretString::from(value));
        assert_eq!(rule("client.rack", "a"), None);
        assert_eq!(rule("ssl.endpoint.identification.algorithm", "https"), None);
        for (key, said) in [
            ("acks", "promises"),
            ("metadata.broker.list", "kafka.bootstrap_servers"),
            ("sasl.username", "kafka.sasl_username"),
            ("enable.ssl.certificate.verification", "play the broker"),
        ] {
            let refusal = rule(key, "0").expect(key);
            assert!(refusal.contains(said), "{key}: {refusal}");
        }
    }

    #[test]
    fn what_librdkafka_says_has_no_values() {
        let properties = [("sasl.oauthbearer.config".to_owned(), SecretString::from("hush-hush"))].into();
        let said = |error| refusal(&error, &properties);
        let config = |result| {
            let texts = ["Invalid value \"hush-hush\"", "a.key", "hush-hush"].map(str::to_owned);
            let [said, key, value] = texts;
            KafkaError::ClientConfig(result, said, key, value)
        };
        let refused = said(config(RDKafkaConfRes::RD_KAFKA_CONF_INVALID));
        assert_eq!(refused, "librdkafka takes no such value of a.key");
        let unknown = said(config(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN));
        assert_eq!(unknown, "librdkafka knows no property a.key");
        let refused = said(KafkaError::ClientCreation("nothing to do with hush-hush".to_owned()));
        assert_eq!(
            refused,
            "librdkafka refuses the settings of kafka: Client creation error: nothing to do with …"
        );
    }
}
