//! Signing keys: published (RFC 7517), shared between instances, encrypted in the database, rotated.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use database::on;
use identity::{Identity, KeyError, OpenError};
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::StatusCode;
use serde_json::Value;

use crate::kit::{DAY, HOUR, SECOND, TestService, each_database, header, settings};

const JWKS: &str = "/.well-known/openid-configuration/jwks";

async fn kids(service: &TestService) -> Vec<String> {
    let set: JwkSet = serde_json::from_value(service.json(JWKS).await).unwrap();
    set.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

async fn is_accepted(service: &TestService, token: &str) -> bool {
    service.get("/connect/userinfo").bearer_auth(token).send().await.unwrap().status() == StatusCode::OK
}

#[tokio::test]
async fn only_public_keys_are_published_and_they_verify_tokens() {
    each_database(|service| async move {
        service.register("ann").await;
        let shown = service.json(JWKS).await;
        for key in shown["keys"].as_array().unwrap() {
            let members: HashSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, HashSet::from(["kty", "use", "alg", "kid", "n", "e"]));
            assert_eq!((&key["use"], &key["alg"]), (&Value::from("sig"), &Value::from("RS256")));
        }
        let set: JwkSet = serde_json::from_value(shown).unwrap();
        let AlgorithmParameters::RSA(rsa) = &set.keys[0].algorithm else { panic!("an RSA key") };
        assert_eq!(rsa.n.len(), 512, "3072 bits in base64url");
        let token = service.token("ann").await;
        let key = DecodingKey::from_jwk(set.find(&kid(&token)).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["TaskerWebAPI"]);
        validation.set_issuer(&[&service.base]);
        jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
    })
    .await;
}

#[tokio::test]
async fn keys_are_announced_used_and_retired_without_a_gap() {
    each_database(|service| async move {
        service.register("ann").await;
        let first = kids(&service).await;
        service.identity.run_maintenance_once().await.unwrap();
        let both = kids(&service).await;
        assert_eq!((both.len(), &both[0]), (2, &first[0]), "the next key is published");
        assert_eq!(kid(&service.token("ann").await), both[0], "the next key does not sign yet");

        service.clock.advance(30 * DAY - SECOND);
        service.identity.run_maintenance_once().await.unwrap();
        let old = service.token("ann").await;
        assert_eq!(kid(&old), both[0]);
        service.clock.advance(SECOND);
        assert_eq!(kid(&service.token("ann").await), both[1], "the next key signs from its time on");
        service.identity.run_maintenance_once().await.unwrap();
        assert_eq!(kids(&service).await.len(), 3, "next, current and previous");
        assert!(is_accepted(&service, &old).await);

        service.clock.advance(HOUR - 2 * SECOND);
        service.identity.run_maintenance_once().await.unwrap();
        assert!(is_accepted(&service, &old).await, "the token is accepted to its last second");
        service.clock.advance(HOUR);
        service.identity.run_maintenance_once().await.unwrap();
        let now = kids(&service).await;
        assert!(
            now.len() == 2 && !now.contains(&both[0]),
            "the first key is deleted after its last token has expired"
        );
    })
    .await;
}

#[tokio::test]
async fn an_overdue_key_is_still_announced_before_it_signs() {
    each_database(|service| async move {
        service.register("ann").await;
        let first = kids(&service).await;
        service.clock.advance(100 * DAY);
        service.identity.run_maintenance_once().await.unwrap();
        assert_eq!(kid(&service.token("ann").await), first[0]);
        service.clock.advance(DAY);
        assert_ne!(kid(&service.token("ann").await), first[0]);
    })
    .await;
}

#[tokio::test]
async fn a_restart_and_another_instance_sign_with_the_same_keys() {
    each_database(|service| async move {
        service.register("ann").await;
        let other = service.another().await;
        assert_eq!(kids(&service).await, kids(&other).await);
        let token = service.token("ann").await;
        assert!(is_accepted(&other, &token).await);
        service.identity.run_maintenance_once().await.unwrap();
        other.identity.run_maintenance_once().await.unwrap();
        assert_eq!(kids(&service).await, kids(&other).await);
        assert_eq!(kids(&service).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn instances_that_start_at_once_create_one_key() {
    each_database(|service| async move {
        on!(&service.db, write, pool => sqlx::query("delete from signing_key").execute(pool).await.map(drop))
            .unwrap();
        let key_file = service.key_directory().join("deep/other.key");
        let starts = (0..4).map(|_| {
            let settings = settings(&service.base, key_file.clone());
            Identity::open(service.open_again(), settings, service.clock.clone())
        });
        let mut started = tokio::task::JoinSet::new();
        starts.for_each(|start| drop(started.spawn(start)));
        for identity in started.join_all().await {
            identity.unwrap();
        }
        let rows: Vec<(i64,)> = on!(&service.db, write, pool =>
            sqlx::query_as("select generation from signing_key").fetch_all(pool).await)
        .unwrap();
        assert_eq!(rows, [(1,)]);
    })
    .await;
}

#[tokio::test]
async fn deleted_keys_are_replaced_and_their_tokens_are_refused() {
    each_database(|service| async move {
        service.register("ann").await;
        let old = service.token("ann").await;
        on!(&service.db, write, pool => sqlx::query("delete from signing_key").execute(pool).await.map(drop))
            .unwrap();
        service.identity.run_maintenance_once().await.unwrap();
        assert!(!is_accepted(&service, &old).await && !kids(&service).await.contains(&kid(&old)));
        assert!(is_accepted(&service, &service.token("ann").await).await);
    })
    .await;
}

#[tokio::test]
async fn keys_are_encrypted_and_the_key_file_is_readable_by_its_owner_only() {
    each_database(|service| async move {
        on!(&service.db, write, pool => sqlx::query("delete from signing_key").execute(pool).await.map(drop))
            .unwrap();
        let path = service.key_directory().join("fresh.key");
        let settings = settings(&service.base, path.clone());
        Identity::open(service.open_again(), settings, service.clock.clone()).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (encrypted,): (Vec<u8>,) = on!(&service.db, read, pool =>
            sqlx::query_as("select encrypted from signing_key").fetch_one(pool).await)
        .unwrap();
        // The object identifier of RSA stands in every PKCS#8 key in clear text.
        let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        assert!(!encrypted.windows(rsa.len()).any(|window| window == rsa));
    })
    .await;
}

#[tokio::test]
async fn a_missing_and_a_wrong_key_file_are_errors_and_nothing_is_created() {
    each_database(|service| async move {
        let absent = service.key_directory().join("absent.key");
        let settings = settings(&service.base, absent.clone());
        let open = || Identity::open(service.open_again(), settings.clone(), service.clock.clone());
        let refused = open().await.err().unwrap();
        assert!(matches!(&refused, OpenError::KeyRing(KeyError::FileMissing { path }) if *path == absent));
        assert!(refused.to_string().contains("copy it from the Identity that created them"));
        assert!(!absent.exists());
        let wrong = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n";
        fs::write(&absent, wrong).unwrap();
        let refused = open().await.err().unwrap();
        assert!(matches!(&refused, OpenError::KeyRing(KeyError::WrongFile { .. })), "{refused}");
        assert_eq!(fs::read_to_string(&absent).unwrap(), wrong);
        fs::write(&absent, "short").unwrap();
        assert!(matches!(open().await.err().unwrap(), OpenError::KeyRing(KeyError::File { .. })));
    })
    .await;
}
