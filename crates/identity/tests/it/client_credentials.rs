//! Confidential clients and `client_credentials` (RFC 6749, sections 2.3 and 4.4).

use reqwest::header::AUTHORIZATION;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::{PASSWORD, ROBOT_SECRET, TestService, claims, each_database};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn request_token(service: &TestService, more: &[(&str, &str)]) -> Response {
    service.post("/connect/token", &[&[GRANT], more].concat()).send().await.unwrap()
}

async fn error(answer: Response) -> String {
    answer.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_gets_a_token_without_a_user() {
    each_database(|service| async move {
        let in_body =
            request_token(&service, &[("client_id", "robot"), ("client_secret", ROBOT_SECRET)]).await;
        let by_header = service.post("/connect/token", &[GRANT]).basic_auth("robot", Some(ROBOT_SECRET));
        for answer in [in_body, by_header.send().await.unwrap()] {
            assert_eq!(answer.status(), StatusCode::OK);
            let response: Value = answer.json().await.unwrap();
            assert_eq!(response["scope"], "TaskerWebAPI");
            let claims = claims(response["access_token"].as_str().unwrap());
            assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("robot"), &json!("robot")));
            assert_eq!(claims["roles"], json!(["Worker"]));
            assert!(claims.get("amr").is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_secret_is_sent_in_one_way_only() {
    each_database(|service| async move {
        let both = service.post("/connect/token", &[GRANT, ("client_secret", ROBOT_SECRET)]);
        let both = both.basic_auth("robot", Some(ROBOT_SECRET)).send().await.unwrap();
        assert_eq!(both.status(), StatusCode::BAD_REQUEST);
        assert_eq!(error(both).await, "invalid_request");
        let other = service.post("/connect/token", &[GRANT, ("client_id", "other")]);
        let other = other.basic_auth("robot", Some(ROBOT_SECRET)).send().await.unwrap();
        assert_eq!(error(other).await, "invalid_request");
        let wrong =
            service.post("/connect/token", &[GRANT]).basic_auth("robot", Some("guess")).send().await.unwrap();
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
        assert!(wrong.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
        let bearer =
            service.post("/connect/token", &[GRANT]).header(AUTHORIZATION, "Bearer x").send().await.unwrap();
        assert_eq!(error(bearer).await, "invalid_client");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_client_and_a_wrong_secret_get_the_same_response() {
    each_database(|service| async move {
        let wrong = request_token(&service, &[("client_id", "robot"), ("client_secret", "guess")]).await;
        let unknown = request_token(&service, &[("client_id", "nobody"), ("client_secret", "guess")]).await;
        let empty = request_token(&service, &[("client_id", "nobody"), ("client_secret", "")]).await;
        assert_eq!((wrong.status(), unknown.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
        let (wrong, unknown) = (wrong.bytes().await.unwrap(), unknown.bytes().await.unwrap());
        assert_eq!((&wrong, &unknown), (&unknown, &empty.bytes().await.unwrap()));
    })
    .await;
}

#[tokio::test]
async fn a_client_may_request_the_api_scope_only() {
    each_database(|service| async move {
        let robot = [("client_id", "robot"), ("client_secret", ROBOT_SECRET)];
        let person =
            request_token(&service, &[&robot[..], &[("scope", "openid TaskerWebAPI")]].concat()).await;
        assert_eq!(error(person).await, "invalid_scope");
        let api = request_token(&service, &[&robot[..], &[("scope", "TaskerWebAPI")]].concat()).await;
        assert_eq!(api.status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn guessing_client_secrets_is_rate_limited_and_holds_back_neither_the_right_one_nor_people() {
    each_database(|service| async move {
        let mut last = StatusCode::OK;
        for _ in 0..121 {
            last =
                request_token(&service, &[("client_id", "robot"), ("client_secret", "guess")]).await.status();
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            service.request_token("ann", PASSWORD).await.status(),
            StatusCode::BAD_REQUEST,
            "no such account"
        );
        let right = request_token(&service, &[("client_id", "robot"), ("client_secret", ROBOT_SECRET)]).await;
        assert_eq!(right.status(), StatusCode::OK);
    })
    .await;
}
