//! Signing keys: shared, sealed, rotated.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use database::on;
use identity::{Identity, KeyError, OpenError};
use jsonwebtoken::jwk::{AlgorithmParameters, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use reqwest::StatusCode;
use serde_json::Value;

use crate::kit::{DAY, HOUR, House, SECOND, each_database, header, settings};

const JWKS: &str = "/.well-known/openid-configuration/jwks";

async fn kids(house: &House) -> Vec<String> {
    let set: JwkSet = serde_json::from_value(house.json(JWKS).await).unwrap();
    set.keys.into_iter().map(|key| key.common.key_id.unwrap()).collect()
}

fn kid(token: &str) -> String {
    header(token)["kid"].as_str().unwrap().to_owned()
}

async fn believed(house: &House, token: &str) -> bool {
    house.get("/connect/userinfo").bearer_auth(token).send().await.unwrap().status() == StatusCode::OK
}

#[tokio::test]
async fn s72_only_public_halves_are_shown_and_they_verify() {
    each_database(|house| async move {
        house.register("ann").await;
        let shown = house.json(JWKS).await;
        for key in shown["keys"].as_array().unwrap() {
            let members: HashSet<&str> = key.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members, HashSet::from(["kty", "use", "alg", "kid", "n", "e"]));
            assert_eq!((&key["use"], &key["alg"]), (&Value::from("sig"), &Value::from("RS256")));
        }
        let set: JwkSet = serde_json::from_value(shown).unwrap();
        let AlgorithmParameters::RSA(rsa) = &set.keys[0].algorithm else { panic!("an RSA key") };
        assert_eq!(rsa.n.len(), 512, "3072 bits in base64url");
        let token = house.token("ann").await;
        let key = DecodingKey::from_jwk(set.find(&kid(&token)).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&["TaskerWebAPI"]);
        validation.set_issuer(&[&house.base]);
        jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
    })
    .await;
}

#[tokio::test]
async fn s73_keys_are_announced_used_and_retired_without_a_gap() {
    each_database(|house| async move {
        house.register("ann").await;
        let first = kids(&house).await;
        house.identity.run_maintenance_once().await.unwrap();
        let both = kids(&house).await;
        assert_eq!((both.len(), &both[0]), (2, &first[0]), "the next one is announced");
        assert_eq!(kid(&house.token("ann").await), both[0], "but does not sign yet");

        house.clock.advance(30 * DAY - SECOND);
        house.identity.run_maintenance_once().await.unwrap();
        let old = house.token("ann").await;
        assert_eq!(kid(&old), both[0]);
        house.clock.advance(SECOND);
        assert_eq!(kid(&house.token("ann").await), both[1], "its time has come");
        house.identity.run_maintenance_once().await.unwrap();
        assert_eq!(kids(&house).await.len(), 3, "next, current and previous");
        assert!(believed(&house, &old).await);

        house.clock.advance(HOUR - 2 * SECOND);
        house.identity.run_maintenance_once().await.unwrap();
        assert!(believed(&house, &old).await, "to its last second");
        house.clock.advance(HOUR);
        house.identity.run_maintenance_once().await.unwrap();
        let now = kids(&house).await;
        assert!(
            now.len() == 2 && !now.contains(&both[0]),
            "the last token of the first key is dead, and so is the key"
        );
    })
    .await;
}

#[tokio::test]
async fn a_key_that_was_late_is_still_announced_before_it_signs() {
    each_database(|house| async move {
        house.register("ann").await;
        let first = kids(&house).await;
        house.clock.advance(100 * DAY);
        house.identity.run_maintenance_once().await.unwrap();
        assert_eq!(kid(&house.token("ann").await), first[0]);
        house.clock.advance(DAY);
        assert_ne!(kid(&house.token("ann").await), first[0]);
    })
    .await;
}

#[tokio::test]
async fn s74_a_restart_and_another_instance_sign_with_the_same_keys() {
    each_database(|house| async move {
        house.register("ann").await;
        let other = house.another().await;
        assert_eq!(kids(&house).await, kids(&other).await);
        let token = house.token("ann").await;
        assert!(believed(&other, &token).await);
        house.identity.run_maintenance_once().await.unwrap();
        other.identity.run_maintenance_once().await.unwrap();
        assert_eq!(kids(&house).await, kids(&other).await);
        assert_eq!(kids(&house).await.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn s74_many_that_start_at_once_make_one_key() {
    each_database(|house| async move {
        on!(&house.db, write, pool => sqlx::query("delete from signing_key").execute(pool).await.map(drop))
            .unwrap();
        let key_file = house.keys().join("deep/other.key");
        let starts = (0..4).map(|_| {
            let settings = settings(&house.base, key_file.clone());
            Identity::open(house.open_again(), settings, house.clock.clone())
        });
        let mut started = tokio::task::JoinSet::new();
        starts.for_each(|start| drop(started.spawn(start)));
        for identity in started.join_all().await {
            identity.unwrap();
        }
        let rows: Vec<(i64,)> = on!(&house.db, write, pool =>
            sqlx::query_as("select generation from signing_key").fetch_all(pool).await)
        .unwrap();
        assert_eq!(rows, [(1,)]);
    })
    .await;
}

#[tokio::test]
async fn s76_keys_that_are_taken_away_are_replaced_and_their_tokens_are_dead() {
    each_database(|house| async move {
        house.register("ann").await;
        let old = house.token("ann").await;
        on!(&house.db, write, pool => sqlx::query("delete from signing_key").execute(pool).await.map(drop))
            .unwrap();
        house.identity.run_maintenance_once().await.unwrap();
        assert!(!believed(&house, &old).await && !kids(&house).await.contains(&kid(&old)));
        assert!(believed(&house, &house.token("ann").await).await);
    })
    .await;
}

#[tokio::test]
async fn s75_keys_are_sealed_and_the_key_file_is_the_owners() {
    each_database(|house| async move {
        on!(&house.db, write, pool => sqlx::query("delete from signing_key").execute(pool).await.map(drop))
            .unwrap();
        let path = house.keys().join("fresh.key");
        let settings = settings(&house.base, path.clone());
        Identity::open(house.open_again(), settings, house.clock.clone()).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (sealed,): (Vec<u8>,) = on!(&house.db, read, pool =>
            sqlx::query_as("select sealed from signing_key").fetch_one(pool).await)
        .unwrap();
        // The object identifier of RSA stands in every PKCS#8 key that is not sealed.
        let rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        assert!(!sealed.windows(rsa.len()).any(|window| window == rsa));
    })
    .await;
}

#[tokio::test]
async fn a_missing_and_a_wrong_key_file_are_clear_errors_and_nothing_is_made_anew() {
    each_database(|house| async move {
        let absent = house.keys().join("absent.key");
        let settings = settings(&house.base, absent.clone());
        let open = || Identity::open(house.open_again(), settings.clone(), house.clock.clone());
        let refused = open().await.err().unwrap();
        assert!(matches!(&refused, OpenError::KeyRing(KeyError::FileMissing { path }) if *path == absent));
        assert!(refused.to_string().contains("copy it from the Identity that made them"));
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
