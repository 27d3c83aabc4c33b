//! Programs with a secret: `client_credentials`.

use reqwest::header::AUTHORIZATION;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::{House, ROBOT_SECRET, claims, each_database};

const GRANT: (&str, &str) = ("grant_type", "client_credentials");

async fn ask(house: &House, more: &[(&str, &str)]) -> Response {
    house.post("/connect/token", &[&[GRANT], more].concat()).send().await.unwrap()
}

async fn error(answer: Response) -> String {
    answer.json::<Value>().await.unwrap()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn s52_a_program_gets_a_token_that_is_no_persons() {
    each_database(|house| async move {
        let in_body = ask(&house, &[("client_id", "robot"), ("client_secret", ROBOT_SECRET)]).await;
        let by_header = house.post("/connect/token", &[GRANT]).basic_auth("robot", Some(ROBOT_SECRET));
        for answer in [in_body, by_header.send().await.unwrap()] {
            assert_eq!(answer.status(), StatusCode::OK);
            let given: Value = answer.json().await.unwrap();
            assert_eq!(given["scope"], "TaskerWebAPI");
            let claims = claims(given["access_token"].as_str().unwrap());
            assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("robot"), &json!("robot")));
            assert_eq!(claims["roles"], json!(["Worker"]));
            assert!(claims.get("amr").is_none());
        }
    })
    .await;
}

#[tokio::test]
async fn s15_a_secret_is_shown_in_one_way() {
    each_database(|house| async move {
        let both = house.post("/connect/token", &[GRANT, ("client_secret", ROBOT_SECRET)]);
        let both = both.basic_auth("robot", Some(ROBOT_SECRET)).send().await.unwrap();
        assert_eq!(both.status(), StatusCode::BAD_REQUEST);
        assert_eq!(error(both).await, "invalid_request");
        let other = house.post("/connect/token", &[GRANT, ("client_id", "other")]);
        let other = other.basic_auth("robot", Some(ROBOT_SECRET)).send().await.unwrap();
        assert_eq!(error(other).await, "invalid_request");
        let wrong =
            house.post("/connect/token", &[GRANT]).basic_auth("robot", Some("guess")).send().await.unwrap();
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
        assert!(wrong.headers()["www-authenticate"].to_str().unwrap().starts_with("Basic "));
        let bearer =
            house.post("/connect/token", &[GRANT]).header(AUTHORIZATION, "Bearer x").send().await.unwrap();
        assert_eq!(error(bearer).await, "invalid_client");
    })
    .await;
}

#[tokio::test]
async fn s16_an_unknown_program_and_a_wrong_secret_are_answered_alike() {
    each_database(|house| async move {
        let wrong = ask(&house, &[("client_id", "robot"), ("client_secret", "guess")]).await;
        let unknown = ask(&house, &[("client_id", "nobody"), ("client_secret", "guess")]).await;
        let empty = ask(&house, &[("client_id", "nobody"), ("client_secret", "")]).await;
        assert_eq!((wrong.status(), unknown.status()), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
        let (wrong, unknown) = (wrong.bytes().await.unwrap(), unknown.bytes().await.unwrap());
        assert_eq!((&wrong, &unknown), (&unknown, &empty.bytes().await.unwrap()));
    })
    .await;
}

#[tokio::test]
async fn s18_a_program_asks_for_the_api_only() {
    each_database(|house| async move {
        let robot = [("client_id", "robot"), ("client_secret", ROBOT_SECRET)];
        let person = ask(&house, &[&robot[..], &[("scope", "openid TaskerWebAPI")]].concat()).await;
        assert_eq!(error(person).await, "invalid_scope");
        let api = ask(&house, &[&robot[..], &[("scope", "TaskerWebAPI")]].concat()).await;
        assert_eq!(api.status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn s16_guessing_secrets_ends_in_429() {
    each_database(|house| async move {
        let mut last = StatusCode::OK;
        for _ in 0..121 {
            last = ask(&house, &[("client_id", "robot"), ("client_secret", "guess")]).await.status();
        }
        assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    })
    .await;
}
