//! `/connect/userinfo` (OpenID Connect Core, section 5.3; RFC 6750).

use database::on;
use reqwest::StatusCode;
use reqwest::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::Value;

use crate::kit::{HOUR, PASSWORD, ROBOT_SECRET, SECOND, TestService, claims, each_database, password_grant};

async fn token_with(service: &TestService, scope: &str) -> String {
    let mut form = password_grant("ann", PASSWORD);
    form.pop();
    form.push(("scope", scope));
    let response: Value = service.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
    response["access_token"].as_str().unwrap().to_owned()
}

async fn challenge(service: &TestService, token: Option<&str>) -> (StatusCode, String) {
    let request = service.get("/connect/userinfo");
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    let answer = request.send().await.unwrap();
    let challenge =
        answer.headers().get(WWW_AUTHENTICATE).map_or("", |challenge| challenge.to_str().unwrap());
    (answer.status(), challenge.to_owned())
}

#[tokio::test]
async fn userinfo_returns_the_account_of_the_token() {
    each_database(|service| async move {
        service.register("Ann").await;
        let token = service.token("ann").await;
        for method in ["GET", "POST"] {
            let answer =
                service.request(method, "/connect/userinfo").bearer_auth(&token).send().await.unwrap();
            let user: Value = answer.json().await.unwrap();
            assert_eq!(user["sub"], claims(&token)["sub"]);
            assert_eq!(
                (user["preferred_username"].as_str(), user["roles"][0].as_str()),
                (Some("Ann"), Some("User"))
            );
        }
        let lean = token_with(&service, "openid").await;
        let user: Value =
            service.get("/connect/userinfo").bearer_auth(lean).send().await.unwrap().json().await.unwrap();
        assert_eq!(user.as_object().unwrap().len(), 1, "without `profile` only `sub` is returned: {user}");
    })
    .await;
}

#[tokio::test]
async fn a_refusal_names_what_is_missing() {
    each_database(|service| async move {
        service.register("ann").await;
        let token = service.token("ann").await;
        assert_eq!(challenge(&service, None).await, (StatusCode::UNAUTHORIZED, "Bearer".to_owned()));
        let query = service.get(&format!("/connect/userinfo?access_token={token}")).send().await.unwrap();
        assert_eq!(query.status(), StatusCode::UNAUTHORIZED);
        let (head, _) = token.rsplit_once('.').unwrap();
        for bad in ["x", "a.b.c", &format!("{head}."), &format!("{head}.AAAA"), &format!("{token}A")] {
            let (status, challenge) = challenge(&service, Some(bad)).await;
            assert_eq!(status, StatusCode::UNAUTHORIZED);
            assert!(challenge.contains("invalid_token"), "{bad}: {challenge}");
        }
        let api_only = token_with(&service, "TaskerWebAPI").await;
        let (status, header) = challenge(&service, Some(&api_only)).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert!(header.contains("insufficient_scope"));
    })
    .await;
}

#[tokio::test]
async fn a_clients_own_token_is_refused() {
    each_database(|service| async move {
        let form =
            [("grant_type", "client_credentials"), ("client_id", "robot"), ("client_secret", ROBOT_SECRET)];
        let response: Value =
            service.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
        let (status, _) = challenge(&service, response["access_token"].as_str()).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
    })
    .await;
}

#[tokio::test]
async fn an_expired_token_and_a_disabled_accounts_token_are_refused() {
    each_database(|service| async move {
        service.register("ann").await;
        let token = service.token("ann").await;
        service.clock.advance(HOUR - SECOND);
        assert_eq!(challenge(&service, Some(&token)).await.0, StatusCode::OK);
        service.clock.advance(SECOND);
        assert_eq!(challenge(&service, Some(&token)).await.0, StatusCode::UNAUTHORIZED);
        let token = service.token("ann").await;
        on!(&service.db, write, pool => sqlx::query("update account set disabled_at = 1").execute(pool).await.map(drop))
            .unwrap();
        assert_eq!(challenge(&service, Some(&token)).await.0, StatusCode::UNAUTHORIZED);
    })
    .await;
}

#[tokio::test]
async fn a_database_outage_says_when_to_try_again_and_an_error_of_the_database_does_not() {
    each_database(|service| async move {
        service.register("ann").await;
        let token = service.token("ann").await;
        let rename = "alter table account rename to other";
        on!(&service.db, write, pool => sqlx::query(rename).execute(pool).await.map(drop)).unwrap();
        let internal = service.get("/connect/userinfo").bearer_auth(&token).send().await.unwrap();
        assert_eq!(internal.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(!internal.headers().contains_key(RETRY_AFTER));
        service.db.close().await;
        let unavailable = service.get("/connect/userinfo").bearer_auth(&token).send().await.unwrap();
        assert_eq!(unavailable.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(unavailable.headers()[RETRY_AFTER], "1");
        let problem: Value = unavailable.json().await.unwrap();
        assert_eq!(problem["type"], "/errors/unavailable");
    })
    .await;
}
