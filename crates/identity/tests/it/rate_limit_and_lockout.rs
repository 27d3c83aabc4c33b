//! Password guessing: equal responses, lockout of accounts, rate limits of addresses, the cost of hashing.

use std::net::Ipv4Addr;

use database::on;
use reqwest::StatusCode;
use tokio::task::JoinSet;
use web::client_address::TrustedProxies;

use crate::kit::{
    DAY, PASSWORD, SECOND, TestService, each_database, each_database_with, location, password_grant,
};
use crate::log_capture::LogCapture;

async fn login(service: &TestService, name: &str, password: &str) -> StatusCode {
    let form = [("Username", name), ("Password", password), ("ReturnUrl", "/")];
    service.post("/Auth/Login", &form).send().await.unwrap().status()
}

async fn fail_sign_in(service: &TestService, name: &str, times: usize) {
    for _ in 0..times {
        let refused = service.request_token(name, "not the password").await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn unknown_name_wrong_password_disabled_and_locked_out_get_the_same_response() {
    each_database(|service| async move {
        for name in ["ann", "bob", "eve"] {
            service.register(name).await;
        }
        on!(&service.db, write, pool =>
            sqlx::query("update account set disabled_at = 1 where name = 'bob'").execute(pool).await.map(drop))
        .unwrap();
        fail_sign_in(&service, "eve", 5).await;
        let mut answers = Vec::new();
        for (name, password) in [
            ("ann", "not the password"),
            ("nobody", PASSWORD),
            ("no such name \0", PASSWORD),
            ("bob", PASSWORD),
            ("eve", PASSWORD),
        ] {
            let answer = service.request_token(name, password).await;
            let differs = |name: &str| ["date", "x-request-id"].contains(&name);
            let headers: Vec<_> =
                answer.headers().iter().filter(|(name, _)| !differs(name.as_str())).collect();
            let seen = format!("{} {headers:?}", answer.status());
            answers.push((seen, answer.bytes().await.unwrap()));
        }
        assert!(answers[0].0.starts_with("400"));
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_name_costs_the_same_writes() {
    each_database(|service| async move {
        service.register("ann").await;
        for name in ["ann", "nobody"] {
            fail_sign_in(&service, name, 3).await;
        }
        let rows: Vec<(i64,)> = on!(&service.db, read, pool =>
            sqlx::query_as("select count from failed_sign_in").fetch_all(pool).await)
        .unwrap();
        assert_eq!(rows, [(3,); 4], "two rows for ann, two for unknown names");
    })
    .await;
}

#[tokio::test]
async fn login_page_and_token_endpoint_share_the_lockout() {
    each_database(|service| async move {
        service.register("ann").await;
        service.register("bob").await;
        fail_sign_in(&service, "ann", 5).await;
        assert_eq!(login(&service, "ann", PASSWORD).await, StatusCode::UNPROCESSABLE_ENTITY);
        for _ in 0..5 {
            assert_eq!(login(&service, "bob", "not the password").await, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert!(!service.can_sign_in("bob").await);
    })
    .await;
}

#[tokio::test]
async fn the_lockout_doubles_with_each_failure_and_expires() {
    each_database(|service| async move {
        service.register("ann").await;
        fail_sign_in(&service, "ann", 5).await;
        service.clock.advance(30 * SECOND - 1);
        assert!(!service.can_sign_in("ann").await, "the right password is refused too");
        service.clock.advance(1);
        fail_sign_in(&service, "ann", 1).await;
        service.clock.advance(60 * SECOND - 1);
        assert!(
            !service.can_sign_in("ann").await,
            "the sixth failure doubles the delay, and the attempt meanwhile did not extend it"
        );
        service.clock.advance(1);
        assert!(service.can_sign_in("ann").await);
        fail_sign_in(&service, "ann", 4).await;
        assert!(service.can_sign_in("ann").await, "a success resets the count");
        fail_sign_in(&service, "ann", 4).await;
        service.clock.advance(DAY + 1);
        fail_sign_in(&service, "ann", 4).await;
        assert!(service.can_sign_in("ann").await, "failures older than a day are forgotten");
    })
    .await;
}

#[tokio::test]
async fn password_spraying_is_rate_limited_for_its_address_only() {
    each_database(|service| async move {
        service.register("ann").await;
        let mut statuses = Vec::new();
        for user in 0..121 {
            statuses.push(service.request_token(&format!("user{user}"), "Summer2026!").await.status());
        }
        let refused = statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
        assert_eq!(
            (refused, statuses[120]),
            (2, StatusCode::TOO_MANY_REQUESTS),
            "registering used one request of the limit"
        );
        let answer = service.request_token("ann", PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "1");
        let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
        let grant = password_grant("ann", PASSWORD);
        let answer = service.post_from(elsewhere, "/connect/token", &grant).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        service.clock.advance(SECOND);
        assert!(service.can_sign_in("ann").await);
    })
    .await;
}

#[tokio::test]
async fn forwarded_headers_are_ignored() {
    let trust_nobody =
        |settings: &mut identity::Settings| settings.trusted_proxies = TrustedProxies::default();
    each_database_with(trust_nobody, |service| async move {
        let mut last = StatusCode::OK;
        for guess in 0..121 {
            let form = password_grant("ann", "not the password");
            let request =
                service.post("/connect/token", &form).header("x-forwarded-for", format!("10.0.0.{guess}"));
            let request = request.header("forwarded", format!("for=10.0.0.{guess}"));
            last = request.send().await.unwrap().status();
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    })
    .await;
}

#[tokio::test]
async fn the_lockout_survives_a_restart_and_is_shared_between_instances() {
    each_database(|service| async move {
        service.register("ann").await;
        fail_sign_in(&service, "ann", 3).await;
        let other = service.another().await;
        fail_sign_in(&other, "ann", 2).await;
        assert!(!service.can_sign_in("ann").await && !other.can_sign_in("ann").await);
    })
    .await;
}

#[tokio::test]
async fn failures_before_an_account_exists_do_not_lock_it() {
    each_database(|service| async move {
        fail_sign_in(&service, "worker", 50).await;
        service.register("worker").await;
        assert!(service.can_sign_in("worker").await);
    })
    .await;
}

#[tokio::test]
async fn a_weaker_hash_is_replaced_at_sign_in() {
    each_database(|service| async move {
        service.register("ann").await;
        // argon2id, 8 KiB, one pass
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let weak = argon2::PasswordHasher::hash_password(&weak, PASSWORD.as_bytes()).unwrap().to_string();
        on!(&service.db, write, pool =>
            sqlx::query("update account set password_hash = $1").bind(&weak).execute(pool).await.map(drop))
        .unwrap();
        assert!(service.can_sign_in("ann").await);
        let (now,): (String,) = on!(&service.db, read, pool =>
            sqlx::query_as("select password_hash from account").fetch_one(pool).await)
        .unwrap();
        assert!(now.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{now}");
        assert!(service.can_sign_in("ann").await);
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_guesses_is_refused_and_other_requests_are_served() {
    each_database(|service| async move {
        service.register("ann").await;
        let mut flood = JoinSet::new();
        for _ in 0..200 {
            let request = service.post("/connect/token", &password_grant("ann", "not the password"));
            flood.spawn(async { request.send().await.unwrap() });
        }
        assert_eq!(service.get("/health/live").send().await.unwrap().status(), StatusCode::OK);
        let answers = flood.join_all().await;
        let busy: Vec<_> =
            answers.iter().filter(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE).collect();
        assert!(!busy.is_empty() && busy.iter().all(|answer| answer.headers().contains_key("retry-after")));
        assert!(answers.iter().all(|answer| answer.status() != StatusCode::OK));
    })
    .await;
}

#[tokio::test]
async fn many_sign_ins_to_one_account_do_not_hold_back_others_wherever_they_are() {
    each_database(|service| async move {
        service.register("ann").await;
        service.register("bob").await;
        let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
        let mut flood = JoinSet::new();
        for _ in 0..90 {
            let request = service.post_from(elsewhere, "/connect/token", &password_grant("ann", PASSWORD));
            flood.spawn(async { request.send().await.unwrap().status() });
        }
        loop {
            let answer =
                flood.join_next().await.expect("the queue of ann there is full at some time").unwrap();
            if answer == StatusCode::SERVICE_UNAVAILABLE {
                break;
            }
        }
        let mut others = JoinSet::new();
        for _ in 0..5 {
            let beside = service.post_from(elsewhere, "/connect/token", &password_grant("bob", PASSWORD));
            others.spawn(async { beside.send().await.unwrap().status() });
            let here = service.post("/connect/token", &password_grant("ann", PASSWORD));
            others.spawn(async { here.send().await.unwrap().status() });
        }
        let others = others.join_all().await;
        assert!(others.iter().all(|status| *status == StatusCode::OK), "{others:?}");
        flood.join_all().await;
    })
    .await;
}

#[tokio::test]
async fn a_successful_sign_in_costs_allowance_of_its_account_and_network() {
    each_database(|service| async move {
        service.register("ann").await;
        service.register("bob").await;
        for _ in 0..60 {
            assert!(service.can_sign_in("ann").await);
        }
        let refused = service.request_token("ANN", PASSWORD).await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert!(service.can_sign_in("bob").await, "the allowance of one account is not another's");
        let elsewhere = Ipv4Addr::new(192, 0, 2, 2);
        let answer = service.post_from(elsewhere, "/connect/token", &password_grant("ann", PASSWORD));
        assert_eq!(answer.send().await.unwrap().status(), StatusCode::OK);
        service.clock.advance(SECOND);
        assert!(service.can_sign_in("ann").await);
    })
    .await;
}

#[tokio::test]
async fn ensure_account_creates_once_and_sets_the_password_each_time() {
    each_database(|service| async move {
        service.identity.ensure_account("local", "first secret").await.unwrap();
        service.identity.ensure_account("local", PASSWORD).await.unwrap();
        assert_eq!(service.roles("local").await, ["User"]);
        assert!(service.identity.ensure_account("no name", PASSWORD).await.is_err());
        let form = [("Username", "LOCAL"), ("Password", PASSWORD), ("ReturnUrl", "Login")];
        let answer = service.post("/Auth/Login", &form).send().await.unwrap();
        assert_eq!(location(&answer), "/Auth/Login");
    })
    .await;
}

/// The statements are counted on PostgreSQL; SQLite's are logged by another thread.
#[tokio::test]
async fn a_password_grant_reads_each_of_its_two_rate_limits_once() {
    let log = LogCapture::start();
    each_database(|service| {
        let log = &log;
        async move {
            if matches!(service.db, database::Db::Sqlite(_)) {
                return;
            }
            service.register("ann").await;
            let reads = || log.text().lines().filter(|line| line.contains("select full_at from")).count();
            let before = reads();
            assert_eq!(service.request_token("ann", PASSWORD).await.status(), StatusCode::OK);
            assert_eq!(reads() - before, 2);
        }
    })
    .await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_a_limit_of_its_own() {
    each_database(|service| async move {
        let guess_from = async |address: &str| {
            let form = [("grant_type", "password"), ("client_id", "nobody"), ("client_secret", "guess")];
            let request = service.post("/connect/token", &form).header("x-forwarded-for", address);
            request.send().await.unwrap().status()
        };
        for _ in 0..120 {
            guess_from("203.0.113.7").await;
        }
        assert_eq!(guess_from("203.0.113.7").await, StatusCode::TOO_MANY_REQUESTS);
        let spoofed = guess_from("198.51.100.1, 203.0.113.7").await;
        assert_eq!(spoofed, StatusCode::TOO_MANY_REQUESTS, "the proxy adds the address on the right");
        assert_eq!(guess_from("203.0.113.8").await, StatusCode::UNAUTHORIZED);
    })
    .await;
}
