//! The ways into Kafka: encrypted, by password, by certificate; and what a wrong key says.

use broker::{Broker, Role, Sasl, SaslMechanism, Security, Settings};
use testkit::kafka_doors;

use crate::kit::{Bench, next, queue, settings, ticket};

fn by_password(mechanism: SaslMechanism, password: &str) -> Settings {
    let doors = kafka_doors();
    let sasl = Sasl { mechanism, username: doors.user, password: password.to_owned().into() };
    let security = Security { tls: true, sasl: Some(sasl), ca: Some(doors.ca), ..Security::default() };
    Settings { bootstrap_servers: doors.secure, security, ..settings() }
}

fn by_certificate() -> Settings {
    let doors = kafka_doors();
    let certificate = Some((doors.certificate, doors.key));
    let security = Security { tls: true, ca: Some(doors.ca), certificate, ..Security::default() };
    Settings { bootstrap_servers: doors.mutual, security, ..settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_door_opens_with_its_key() {
    let password = kafka_doors().password;
    let keys = [SaslMechanism::ScramSha512, SaslMechanism::ScramSha256, SaslMechanism::Plain];
    let by_password = keys.map(|mechanism| by_password(mechanism, &password));
    for settings in by_password.into_iter().chain([by_certificate()]) {
        let bench = Bench::ready(settings).await;
        let mut feed = bench.tickets(1);
        let ticket = ticket();
        assert!(bench.broker.publish_ticket(&queue(), &ticket, None, None));
        assert_eq!(next(&mut feed).await.message, ticket);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_named_and_nothing_is_sent() {
    let no_certificate = by_certificate();
    let no_certificate = Settings {
        security: Security { certificate: None, ..no_certificate.security.clone() },
        ..no_certificate
    };
    let stranger = by_password(SaslMechanism::ScramSha512, &kafka_doors().password);
    let own = kafka_doors().certificate;
    let stranger = Settings { security: Security { ca: Some(own), ..stranger.security.clone() }, ..stranger };
    let wrong = [
        (by_password(SaslMechanism::ScramSha512, "wrong"), "uthentication"),
        (no_certificate, "SSL"),
        (stranger, "ertificate"),
    ];
    for (settings, said) in wrong {
        let bench = Bench::of(settings, Role::Backend);
        bench
            .until(said, |broker| broker.degraded_reasons().iter().any(|trouble| trouble.contains(said)))
            .await;
        assert!(!bench.broker.publish_ticket(&queue(), &ticket(), None, None));
    }
}

#[test]
fn a_property_that_no_consumer_can_have_is_told_at_once() {
    let properties = [("max.poll.interval.ms".to_owned(), "1000".into())].into();
    let refusal = Broker::open(Settings { properties, ..settings() }).err().unwrap();
    assert!(
        telemetry::error_chain(&refusal).contains("max.poll.interval.ms"),
        "{}",
        telemetry::error_chain(&refusal)
    );
}

#[test]
fn what_a_property_says_is_not_told() {
    for (key, named) in [("linger.ms", "linger.ms"), ("sasl.oauthbearer.confi", "sasl.oauthbearer.confi")] {
        let properties = [(key.to_owned(), "hush-hush".into())].into();
        let refusal = Broker::open(Settings { properties, ..settings() }).err().unwrap();
        let refusal = telemetry::error_chain(&refusal);
        assert!(refusal.contains(named) && !refusal.contains("hush"), "{refusal}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_at_once() {
    let security = Security { tls: true, ca: Some("/nowhere/ca.pem".into()), ..Security::default() };
    let refusal = Broker::open(Settings { security, ..settings() }).err().unwrap();
    assert!(
        telemetry::error_chain(&refusal).contains("/nowhere/ca.pem"),
        "{}",
        telemetry::error_chain(&refusal)
    );
}
