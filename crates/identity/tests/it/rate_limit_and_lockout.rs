//! Guessing passwords: what is told, what is counted, what it costs.

use std::net::Ipv4Addr;

use database::on;
use reqwest::StatusCode;
use tokio::task::JoinSet;

use crate::kit::{DAY, House, PASSWORD, SECOND, each_database, location, password_grant};

async fn login(house: &House, name: &str, password: &str) -> StatusCode {
    let form = [("Username", name), ("Password", password), ("ReturnUrl", "/")];
    house.post("/Auth/Login", &form).send().await.unwrap().status()
}

async fn miss(house: &House, name: &str, times: usize) {
    for _ in 0..times {
        let refused = house.ask_token(name, "not the password").await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn s21_unknown_wrong_disabled_and_throttled_are_answered_alike() {
    each_database(|house| async move {
        for name in ["ann", "bob", "eve"] {
            house.register(name).await;
        }
        on!(&house.db, write, pool =>
            sqlx::query("update account set disabled = 1 where name = 'bob'").execute(pool).await.map(drop))
        .unwrap();
        miss(&house, "eve", 5).await;
        let mut answers = Vec::new();
        for (name, password) in [
            ("ann", "not the password"),
            ("nobody", PASSWORD),
            ("no such name \0", PASSWORD),
            ("bob", PASSWORD),
            ("eve", PASSWORD),
        ] {
            let answer = house.ask_token(name, password).await;
            let headers: Vec<_> = answer.headers().iter().filter(|(name, _)| *name != "date").collect();
            let seen = format!("{} {headers:?}", answer.status());
            answers.push((seen, answer.bytes().await.unwrap()));
        }
        assert!(answers[0].0.starts_with("400"));
        assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    })
    .await;
}

#[tokio::test]
async fn s22_an_unknown_name_costs_the_same_writes() {
    each_database(|house| async move {
        house.register("ann").await;
        for name in ["ann", "nobody"] {
            miss(&house, name, 3).await;
        }
        let rows: Vec<(i64,)> = on!(&house.db, read, pool =>
            sqlx::query_as("select count from misses").fetch_all(pool).await)
        .unwrap();
        assert_eq!(rows, [(3,), (3,)], "one row for ann, one for nobody");
    })
    .await;
}

#[tokio::test]
async fn s23_page_and_token_endpoint_count_together() {
    each_database(|house| async move {
        house.register("ann").await;
        house.register("bob").await;
        miss(&house, "ann", 5).await;
        assert_eq!(login(&house, "ann", PASSWORD).await, StatusCode::UNPROCESSABLE_ENTITY);
        for _ in 0..5 {
            assert_eq!(login(&house, "bob", "not the password").await, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert!(!house.knows("bob").await);
    })
    .await;
}

#[tokio::test]
async fn s103_the_delay_grows_and_ends_by_itself() {
    each_database(|house| async move {
        house.register("ann").await;
        miss(&house, "ann", 5).await;
        house.clock.advance(30 * SECOND - 1);
        assert!(!house.knows("ann").await, "the right password waits too");
        house.clock.advance(1);
        miss(&house, "ann", 1).await;
        house.clock.advance(60 * SECOND - 1);
        assert!(!house.knows("ann").await, "the sixth miss waits for longer, and asking did not extend it");
        house.clock.advance(1);
        assert!(house.knows("ann").await);
        miss(&house, "ann", 4).await;
        assert!(house.knows("ann").await, "after a success the counting begins anew");
        miss(&house, "ann", 4).await;
        house.clock.advance(DAY + 1);
        miss(&house, "ann", 4).await;
        assert!(house.knows("ann").await, "yesterday's misses are forgotten");
    })
    .await;
}

#[tokio::test]
async fn s104_spraying_ends_in_429_for_this_address_only() {
    each_database(|house| async move {
        house.register("ann").await;
        let mut statuses = Vec::new();
        for user in 0..121 {
            statuses.push(house.ask_token(&format!("user{user}"), "Summer2026!").await.status());
        }
        let refused = statuses.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
        assert_eq!(
            (refused, statuses[120]),
            (2, StatusCode::TOO_MANY_REQUESTS),
            "one was spent by registering"
        );
        let answer = house.ask_token("ann", PASSWORD).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers()["retry-after"], "1");
        let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
        let grant = password_grant("ann", PASSWORD);
        let answer = house.post_from(elsewhere, "/connect/token", &grant).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        house.clock.advance(SECOND);
        assert!(house.knows("ann").await);
    })
    .await;
}

#[tokio::test]
async fn s105_forwarded_headers_are_not_believed() {
    each_database(|house| async move {
        let mut last = StatusCode::OK;
        for guess in 0..121 {
            let form = password_grant("ann", "not the password");
            let asked =
                house.post("/connect/token", &form).header("x-forwarded-for", format!("10.0.0.{guess}"));
            let asked = asked.header("forwarded", format!("for=10.0.0.{guess}"));
            last = asked.send().await.unwrap().status();
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    })
    .await;
}

#[tokio::test]
async fn s106_a_restart_and_another_instance_remember() {
    each_database(|house| async move {
        house.register("ann").await;
        miss(&house, "ann", 3).await;
        let other = house.another().await;
        miss(&other, "ann", 2).await;
        assert!(!house.knows("ann").await && !other.knows("ann").await);
    })
    .await;
}

#[tokio::test]
async fn a_worker_whose_account_is_not_there_yet_is_let_in_as_soon_as_it_is() {
    each_database(|house| async move {
        miss(&house, "worker", 50).await;
        house.register("worker").await;
        assert!(house.knows("worker").await);
    })
    .await;
}

#[tokio::test]
async fn s102_a_weaker_hash_is_replaced_when_its_owner_comes() {
    each_database(|house| async move {
        house.register("ann").await;
        // argon2id, 8 KiB, one pass
        let params = argon2::Params::new(8, 1, 1, None).unwrap();
        let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let weak = argon2::PasswordHasher::hash_password(&weak, PASSWORD.as_bytes()).unwrap().to_string();
        on!(&house.db, write, pool =>
            sqlx::query("update account set password = $1").bind(&weak).execute(pool).await.map(drop))
        .unwrap();
        assert!(house.knows("ann").await);
        let (now,): (String,) = on!(&house.db, read, pool =>
            sqlx::query_as("select password from account").fetch_one(pool).await)
        .unwrap();
        assert!(now.starts_with("$argon2id$v=19$m=19456,t=3,p=1$"), "{now}");
        assert!(house.knows("ann").await);
    })
    .await;
}

#[tokio::test]
async fn s26_a_flood_of_guesses_is_sent_away_and_the_rest_goes_on() {
    each_database(|house| async move {
        house.register("ann").await;
        let mut flood = JoinSet::new();
        for _ in 0..200 {
            let asked = house.post("/connect/token", &password_grant("ann", "not the password"));
            flood.spawn(async { asked.send().await.unwrap() });
        }
        assert_eq!(house.get("/health/live").send().await.unwrap().status(), StatusCode::OK);
        let answers = flood.join_all().await;
        let busy: Vec<_> =
            answers.iter().filter(|answer| answer.status() == StatusCode::SERVICE_UNAVAILABLE).collect();
        assert!(!busy.is_empty() && busy.iter().all(|answer| answer.headers().contains_key("retry-after")));
        assert!(answers.iter().all(|answer| answer.status() != StatusCode::OK));
    })
    .await;
}

#[tokio::test]
async fn the_operators_account_is_made_once_and_gets_its_password_each_time() {
    each_database(|house| async move {
        house.identity.ensure_account("local", "first secret").await.unwrap();
        house.identity.ensure_account("local", PASSWORD).await.unwrap();
        assert_eq!(house.roles("local").await, ["User"]);
        assert!(house.identity.ensure_account("no name", PASSWORD).await.is_err());
        let form = [("Username", "LOCAL"), ("Password", PASSWORD), ("ReturnUrl", "Login")];
        let answer = house.post("/Auth/Login", &form).send().await.unwrap();
        assert_eq!(location(&answer), "/Auth/Login");
    })
    .await;
}
