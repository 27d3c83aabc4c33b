//! Introspection (RFC 7662) and revocation (RFC 7009) of tokens (check list S48, S49).

use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::{TestService, each_database_with, location};
use crate::oauth_client::{
    APP, Browser, SITE, SITE_SECRET, VERIFIER, add_clients, error, is_accepted, parameter, refresh, text,
};

/// The tokens that [`SITE`] gets.
async fn tokens_of_site(browser: &Browser) -> Value {
    let uri = "https://site.example.org/cb?site=1";
    let scope = ("scope", "openid offline_access");
    let answer = browser.authorize(&[("client_id", SITE), ("redirect_uri", uri), scope]).await;
    let code = parameter(location(&answer), "code").unwrap();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", uri),
        ("code_verifier", VERIFIER),
    ];
    let request = browser.service.post("/connect/token", &form).basic_auth(SITE, Some(SITE_SECRET));
    request.send().await.unwrap().json().await.unwrap()
}

async fn inspect(service: &TestService, token: &str) -> Value {
    let request =
        service.post("/connect/introspect", &[("token", token)]).basic_auth(SITE, Some(SITE_SECRET));
    request.send().await.unwrap().json().await.unwrap()
}

async fn revoke(service: &TestService, token: &str) -> Response {
    let request =
        service.post("/connect/revocation", &[("token", token)]).basic_auth(SITE, Some(SITE_SECRET));
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_client_inspects_its_own_tokens_and_learns_nothing_of_others() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let (own, foreign) = (tokens_of_site(&browser).await, browser.tokens().await);
        let access = inspect(&service, text(&own, "access_token")).await;
        assert_eq!((&access["active"], &access["client_id"]), (&json!(true), &json!(SITE)));
        assert_eq!(
            (&access["scope"], &access["token_type"]),
            (&json!("openid offline_access"), &json!("Bearer"))
        );
        assert!(access["exp"].is_i64() && access["sub"].is_string());
        let refresh = inspect(&service, text(&own, "refresh_token")).await;
        assert_eq!((&refresh["active"], &refresh["sub"]), (&json!(true), &access["sub"]));
        let nothing = json!({"active": false});
        for token in [text(&foreign, "access_token"), text(&foreign, "refresh_token"), "x", "a.b.c", "00.x"] {
            assert_eq!(inspect(&service, token).await, nothing);
        }
        service.clock.advance(3600 * 1_000_000);
        assert_eq!(inspect(&service, text(&own, "access_token")).await, nothing, "it has expired");
    })
    .await;
}

#[tokio::test]
async fn inspection_needs_a_client_with_a_secret() {
    each_database_with(add_clients, |service| async move {
        for form in [&[("token", "x")][..], &[("token", "x"), ("client_id", APP)]] {
            let refused = service.post("/connect/introspect", form).send().await.unwrap();
            assert!(matches!(refused.status().as_u16(), 400 | 401), "{form:?}");
        }
        let wrong = service.post("/connect/introspect", &[("token", "x")]).basic_auth(SITE, Some("wrong"));
        assert_eq!(wrong.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
        let missing = service.post("/connect/introspect", &[]).basic_auth(SITE, Some(SITE_SECRET));
        assert_eq!(error(missing.send().await.unwrap()).await, "invalid_request");
    })
    .await;
}

#[tokio::test]
async fn a_client_ends_its_own_grant_by_either_token_and_no_other() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        for member in ["access_token", "refresh_token"] {
            let tokens = tokens_of_site(&browser).await;
            assert_eq!(revoke(&service, text(&tokens, member)).await.status(), StatusCode::OK);
            assert_eq!(revoke(&service, text(&tokens, member)).await.status(), StatusCode::OK, "once more");
            assert!(!is_accepted(&service, text(&tokens, "access_token")).await, "{member}");
            assert_eq!(inspect(&service, text(&tokens, "refresh_token")).await, json!({"active": false}));
        }
        let foreign = browser.tokens().await;
        for token in [text(&foreign, "refresh_token"), text(&foreign, "access_token"), "unknown"] {
            assert_eq!(revoke(&service, token).await.status(), StatusCode::OK);
        }
        let still = refresh(&service, APP, text(&foreign, "refresh_token"), &[]).await;
        assert_eq!(still.status(), StatusCode::OK, "another client's token stays");
        let nobody = service.post("/connect/revocation", &[("token", "x"), ("client_id", "nobody")]);
        assert_eq!(nobody.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    })
    .await;
}
