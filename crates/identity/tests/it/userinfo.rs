//! `/connect/userinfo`.

use database::on;
use reqwest::StatusCode;
use reqwest::header::WWW_AUTHENTICATE;
use serde_json::Value;

use crate::kit::{HOUR, House, PASSWORD, ROBOT_SECRET, SECOND, claims, each_database, password_grant};

async fn token_with(house: &House, scope: &str) -> String {
    let mut form = password_grant("ann", PASSWORD);
    form.pop();
    form.push(("scope", scope));
    let given: Value = house.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
    given["access_token"].as_str().unwrap().to_owned()
}

async fn challenge(house: &House, token: Option<&str>) -> (StatusCode, String) {
    let asked = house.get("/connect/userinfo");
    let asked = if let Some(token) = token { asked.bearer_auth(token) } else { asked };
    let answer = asked.send().await.unwrap();
    let challenge =
        answer.headers().get(WWW_AUTHENTICATE).map_or("", |challenge| challenge.to_str().unwrap());
    (answer.status(), challenge.to_owned())
}

#[tokio::test]
async fn s50_it_says_who_the_bearer_is() {
    each_database(|house| async move {
        house.register("Ann").await;
        let token = house.token("ann").await;
        for method in ["GET", "POST"] {
            let answer = house.request(method, "/connect/userinfo").bearer_auth(&token).send().await.unwrap();
            let told: Value = answer.json().await.unwrap();
            assert_eq!(told["sub"], claims(&token)["sub"]);
            assert_eq!(
                (told["preferred_username"].as_str(), told["roles"][0].as_str()),
                (Some("Ann"), Some("User"))
            );
        }
        let lean = token_with(&house, "openid").await;
        let told: Value =
            house.get("/connect/userinfo").bearer_auth(lean).send().await.unwrap().json().await.unwrap();
        assert_eq!(told.as_object().unwrap().len(), 1, "without `profile` only `sub` is told: {told}");
    })
    .await;
}

#[tokio::test]
async fn s51_who_may_not_ask_is_told_what_is_missing() {
    each_database(|house| async move {
        house.register("ann").await;
        let token = house.token("ann").await;
        assert_eq!(challenge(&house, None).await, (StatusCode::UNAUTHORIZED, "Bearer".to_owned()));
        let query = house.get(&format!("/connect/userinfo?access_token={token}")).send().await.unwrap();
        assert_eq!(query.status(), StatusCode::UNAUTHORIZED);
        let (head, _) = token.rsplit_once('.').unwrap();
        for bad in ["x", "a.b.c", &format!("{head}."), &format!("{head}.AAAA"), &format!("{token}A")] {
            let (status, challenge) = challenge(&house, Some(bad)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert!(challenge.contains("invalid_token"), "{bad}: {challenge}");
        }
        let api_only = token_with(&house, "TaskerWebAPI").await;
        let (status, said) = challenge(&house, Some(&api_only)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(said.contains("insufficient_scope"));
    })
    .await;
}

#[tokio::test]
async fn s52_a_programs_token_is_nobodys() {
    each_database(|house| async move {
        let form =
            [("grant_type", "client_credentials"), ("client_id", "robot"), ("client_secret", ROBOT_SECRET)];
        let given: Value = house.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
        let (status, _) = challenge(&house, given["access_token"].as_str()).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    })
    .await;
}

#[tokio::test]
async fn s51_an_expired_token_and_a_disabled_accounts_token_are_refused() {
    each_database(|house| async move {
        house.register("ann").await;
        let token = house.token("ann").await;
        house.clock.advance(HOUR - SECOND);
        assert_eq!(challenge(&house, Some(&token)).await.0, StatusCode::OK);
        house.clock.advance(SECOND);
        assert_eq!(challenge(&house, Some(&token)).await.0, StatusCode::UNAUTHORIZED);
        let token = house.token("ann").await;
        on!(&house.db, write, pool => sqlx::query("update account set disabled = 1").execute(pool).await.map(drop))
            .unwrap();
        assert_eq!(challenge(&house, Some(&token)).await.0, StatusCode::UNAUTHORIZED);
    })
    .await;
}
