//! Devices without a browser (RFC 8628; check list S53).

use reqwest::{Response, StatusCode};
use serde_json::Value;

use crate::kit::{MINUTE, SECOND, TestService, each_database_with, location};
use crate::oauth_client::{APP, Browser, SITE, SITE_SECRET, add_clients, error, is_accepted, refresh, text};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn begin(service: &TestService) -> Value {
    let form = [("client_id", APP), ("scope", "openid offline_access TaskerWebAPI")];
    service.post("/connect/deviceauthorization", &form).send().await.unwrap().json().await.unwrap()
}

async fn poll(service: &TestService, client: &str, codes: &Value) -> Response {
    let form = [("grant_type", GRANT), ("client_id", client), ("device_code", text(codes, "device_code"))];
    service.post("/connect/token", &form).send().await.unwrap()
}

async fn decide(browser: &Browser, codes: &Value, decision: &str) -> Response {
    browser.post("/Device", &[("user_code", text(codes, "user_code")), ("decision", decision)]).await
}

#[tokio::test]
async fn a_device_gets_tokens_once_a_person_has_allowed_it() {
    each_database_with(add_clients, |service| async move {
        let codes = begin(&service).await;
        assert_eq!((codes["expires_in"].as_i64(), codes["interval"].as_i64()), (Some(600), Some(5)));
        let code = text(&codes, "user_code");
        assert_eq!(text(&codes, "verification_uri"), format!("{}/Device", service.base));
        assert_eq!(
            text(&codes, "verification_uri_complete"),
            format!("{}/Device?user_code={code}", service.base)
        );
        assert_eq!(error(poll(&service, APP, &codes).await).await, "authorization_pending");
        let to_login = service.get(&format!("/Device?user_code={code}")).send().await.unwrap();
        assert!(location(&to_login).starts_with("/Auth/Login?ReturnUrl=%2FDevice%3Fuser_code%3D"));

        let browser = Browser::register(&service, "ann").await;
        let page = browser.get(&format!("/Device?user_code={code}")).await.text().await.unwrap();
        assert!(
            page.contains(&code.replace('-', "")) && !page.contains("Allow"),
            "the code must be confirmed first"
        );
        let question = browser.post("/Device", &[("user_code", &code.to_lowercase())]).await;
        let question = question.text().await.unwrap();
        assert!(question.contains("Allow The &#60;App&#62;?") && question.contains(code), "{question}");
        let allowed = decide(&browser, &codes, "allow").await;
        assert_eq!(location(&allowed), "/");

        service.clock.advance(5 * SECOND);
        let answer = poll(&service, APP, &codes).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let tokens: Value = answer.json().await.unwrap();
        assert!(is_accepted(&service, text(&tokens, "access_token")).await && tokens["id_token"].is_string());
        let next = refresh(&service, APP, text(&tokens, "refresh_token"), &[]).await;
        assert_eq!(next.status(), StatusCode::OK);
        assert_eq!(error(poll(&service, APP, &codes).await).await, "invalid_grant", "the code is used up");
    })
    .await;
}

#[tokio::test]
async fn a_device_that_is_denied_or_too_late_or_too_quick_learns_why() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let denied = begin(&service).await;
        decide(&browser, &denied, "deny").await;
        assert_eq!(error(poll(&service, APP, &denied).await).await, "access_denied");
        let hasty = begin(&service).await;
        assert_eq!(error(poll(&service, APP, &hasty).await).await, "authorization_pending");
        service.clock.advance(4 * SECOND);
        assert_eq!(error(poll(&service, APP, &hasty).await).await, "slow_down");
        assert_eq!(
            error(poll(&service, "tasker-cli", &hasty).await).await,
            "invalid_grant",
            "another client's"
        );
        service.clock.advance(10 * MINUTE);
        assert_eq!(error(poll(&service, APP, &hasty).await).await, "expired_token");
        let late = decide(&browser, &hasty, "allow").await;
        assert_eq!(late.status(), StatusCode::UNPROCESSABLE_ENTITY);
    })
    .await;
}

#[tokio::test]
async fn a_decision_is_final() {
    each_database_with(add_clients, |service| async move {
        let (ann, bob) = (Browser::register(&service, "ann").await, Browser::register(&service, "bob").await);
        let codes = begin(&service).await;
        decide(&ann, &codes, "deny").await;
        assert_eq!(decide(&bob, &codes, "allow").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(error(poll(&service, APP, &codes).await).await, "access_denied");
    })
    .await;
}

#[tokio::test]
async fn user_codes_cannot_be_guessed_without_end() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let mut statuses = Vec::new();
        for _ in 0..31 {
            statuses.push(browser.post("/Device", &[("user_code", "BCDF-GHJK")]).await.status());
        }
        assert_eq!(statuses.pop(), Some(StatusCode::TOO_MANY_REQUESTS));
        assert!(statuses.iter().all(|status| *status == StatusCode::UNPROCESSABLE_ENTITY), "{statuses:?}");
    })
    .await;
}

#[tokio::test]
async fn a_client_needs_the_grant_and_its_scopes() {
    each_database_with(add_clients, |service| async move {
        let site = service.post("/connect/deviceauthorization", &[("scope", "openid")]);
        let refused = site.basic_auth(SITE, Some(SITE_SECRET)).send().await.unwrap();
        assert_eq!(error(refused).await, "unauthorized_client");
        let scope = [("client_id", APP), ("scope", "email")];
        let refused = service.post("/connect/deviceauthorization", &scope).send().await.unwrap();
        assert_eq!(error(refused).await, "invalid_scope");
        let unknown =
            service.post("/connect/deviceauthorization", &[("client_id", "nobody")]).send().await.unwrap();
        assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED);
    })
    .await;
}
