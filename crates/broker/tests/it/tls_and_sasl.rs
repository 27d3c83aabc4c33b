//! TLS, SASL and client certificates; and how wrong credentials are reported.

use broker::{Broker, Role, Sasl, SaslMechanism, Security, Settings};
use testkit::kafka_tls_access;

use crate::kit::{TestProcess, next, queue, settings, ticket};

fn by_password(mechanism: SaslMechanism, password: &str) -> Settings {
    let tls_access = kafka_tls_access();
    let sasl = Sasl { mechanism, username: tls_access.user, password: password.to_owned().into() };
    let security = Security { tls: true, sasl: Some(sasl), ca: Some(tls_access.ca), ..Security::default() };
    Settings { bootstrap_servers: tls_access.sasl_tls, security, ..settings() }
}

fn by_certificate() -> Settings {
    let tls_access = kafka_tls_access();
    let certificate = Some((tls_access.certificate, tls_access.key));
    let security = Security { tls: true, ca: Some(tls_access.ca), certificate, ..Security::default() };
    Settings { bootstrap_servers: tls_access.mutual_tls, security, ..settings() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_authentication_method_is_accepted() {
    let password = kafka_tls_access().password;
    let mechanisms = [SaslMechanism::ScramSha512, SaslMechanism::ScramSha256, SaslMechanism::Plain];
    let by_password = mechanisms.map(|mechanism| by_password(mechanism, &password));
    for settings in by_password.into_iter().chain([by_certificate()]) {
        let process = TestProcess::ready(settings).await;
        let mut subscription = process.tickets(1);
        let ticket = ticket();
        assert!(process.broker.publish_ticket(&queue(), &ticket, None, None));
        assert_eq!(next(&mut subscription).await.message, ticket);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_reported_and_nothing_is_sent() {
    let no_certificate = by_certificate();
    let no_certificate = Settings {
        security: Security { certificate: None, ..no_certificate.security.clone() },
        ..no_certificate
    };
    let wrong_authority = by_password(SaslMechanism::ScramSha512, &kafka_tls_access().password);
    let own = kafka_tls_access().certificate;
    let wrong_authority = Settings {
        security: Security { ca: Some(own), ..wrong_authority.security.clone() },
        ..wrong_authority
    };
    let wrong = [
        (by_password(SaslMechanism::ScramSha512, "wrong"), "uthentication"),
        (no_certificate, "SSL"),
        (wrong_authority, "ertificate"),
    ];
    for (settings, text) in wrong {
        let process = TestProcess::new(settings, Role::Backend);
        process
            .until(text, |broker| broker.degraded_reasons().iter().any(|reason| reason.contains(text)))
            .await;
        assert!(!process.broker.publish_ticket(&queue(), &ticket(), None, None));
    }
}

#[test]
fn a_property_that_no_consumer_accepts_is_refused_at_the_start() {
    let properties = [("max.poll.interval.ms".to_owned(), "1000".into())].into();
    let refusal = Broker::open(Settings { properties, ..settings() }).err().unwrap();
    assert!(
        telemetry::error_chain(&refusal).contains("max.poll.interval.ms"),
        "{}",
        telemetry::error_chain(&refusal)
    );
}

#[test]
fn the_value_of_a_refused_property_is_not_shown() {
    for (key, named) in [("linger.ms", "linger.ms"), ("sasl.oauthbearer.confi", "sasl.oauthbearer.confi")] {
        let properties = [(key.to_owned(), "hush-hush".into())].into();
        let refusal = Broker::open(Settings { properties, ..settings() }).err().unwrap();
        let refusal = telemetry::error_chain(&refusal);
        assert!(refusal.contains(named) && !refusal.contains("hush"), "{refusal}");
    }
}

#[test]
fn a_missing_file_is_refused_at_the_start() {
    let security = Security { tls: true, ca: Some("/nowhere/ca.pem".into()), ..Security::default() };
    let refusal = Broker::open(Settings { security, ..settings() }).err().unwrap();
    assert!(
        telemetry::error_chain(&refusal).contains("/nowhere/ca.pem"),
        "{}",
        telemetry::error_chain(&refusal)
    );
}
