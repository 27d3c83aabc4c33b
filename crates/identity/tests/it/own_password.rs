//! People change their own password.

use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::kit::{PASSWORD, TestService, cookie, each_database, location};

const NEW: &str = "seven green herons";

async fn change(service: &TestService, session: &str, current: &str, new: &str, again: &str) -> Response {
    let form = [("Password", current), ("NewPassword", new), ("ConfirmPassword", again)];
    service.post("/Auth/Password", &form).header(COOKIE, session).send().await.unwrap()
}

#[tokio::test]
async fn the_own_password_is_changed_with_the_current_one() {
    each_database(|service| async move {
        service.register("ann").await;
        let (session, elsewhere) = (service.sign_in("ann").await, service.sign_in("ann").await);
        let token = service.token("ann").await;
        let home = service.get("/").header(COOKIE, &session).send().await.unwrap();
        assert!(home.text().await.unwrap().contains("/Auth/Password"));
        for (current, new, again, sentence) in [
            ("a guess", NEW, NEW, "This is not the current password"),
            (PASSWORD, "short", "short", "at least 8 characters"),
            (PASSWORD, "zzzzzzzzzz", "zzzzzzzzzz", "more than one repeated character"),
            (PASSWORD, NEW, "another", "The two passwords differ."),
        ] {
            let refused = change(&service, &session, current, new, again).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
            assert!(refused.text().await.unwrap().contains(sentence), "{sentence}");
        }
        assert!(service.can_sign_in("ann").await);

        let changed = change(&service, &session, PASSWORD, NEW, NEW).await;
        assert_eq!(location(&changed), "/");
        assert_eq!(changed.headers().get_all(SET_COOKIE).iter().count(), 3);
        let home =
            async |session: &str| service.get("/").header(COOKIE, session).send().await.unwrap().status();
        assert_eq!(home(&cookie(&changed)).await, StatusCode::OK, "this browser stays signed in");
        for ended in [&session, &elsewhere] {
            assert_eq!(home(ended).await, StatusCode::SEE_OTHER);
        }
        let userinfo = service.get("/connect/userinfo").bearer_auth(token).send().await.unwrap();
        assert_eq!(userinfo.status(), StatusCode::UNAUTHORIZED);
        assert!(!service.can_sign_in("ann").await);
        assert_eq!(service.request_token("ann", NEW).await.status(), StatusCode::OK);
        assert_eq!(location(&change(&service, "", NEW, PASSWORD, PASSWORD).await), "/Auth/Login");
    })
    .await;
}

#[tokio::test]
async fn a_program_changes_the_own_password_with_the_current_one() {
    each_database(|service| async move {
        service.register("Ann").await;
        service.register("bob").await;
        let (token, bob) = (service.token("ann").await, service.token("bob").await);
        let session = service.sign_in("ann").await;
        let change = async |token: &str, body: Value| {
            let request = service.request("PUT", "/api/User/ann/password").bearer_auth(token);
            request.body(body.to_string()).send().await.unwrap()
        };
        for (token, body, status, pointer) in [
            (&token, json!({"current": "a guess", "new": NEW}), 422, json!("/current")),
            (&token, json!({"current": PASSWORD, "new": "short"}), 422, json!("/new")),
            (&token, json!({"current": PASSWORD}), 422, json!("")),
            (&bob, json!({"current": PASSWORD, "new": NEW}), 403, json!(null)),
        ] {
            let refused = change(token, body.clone()).await;
            assert_eq!(refused.status(), status, "{body}");
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
        assert!(service.can_sign_in("ann").await);

        assert_eq!(
            change(&token, json!({"current": PASSWORD, "new": NEW})).await.status(),
            StatusCode::NO_CONTENT
        );
        let again = change(&token, json!({"current": NEW, "new": PASSWORD})).await;
        assert_eq!(again.status(), StatusCode::UNAUTHORIZED, "the token was revoked");
        let home = service.get("/").header(COOKIE, session).send().await.unwrap();
        assert_eq!(home.status(), StatusCode::SEE_OTHER);
        assert!(!service.can_sign_in("ann").await);
        assert_eq!(service.request_token("ann", NEW).await.status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn guessing_the_current_password_with_a_token_locks_the_account_for_that_network() {
    each_database(|service| async move {
        service.register("ann").await;
        let token = service.token("ann").await;
        let change = async |current: &str| {
            let body = json!({"current": current, "new": NEW}).to_string();
            let request = service.request("PUT", "/api/User/ann/password").bearer_auth(&token).body(body);
            request.send().await.unwrap().status()
        };
        for _ in 0..5 {
            assert_eq!(change("a guess").await, StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(change(PASSWORD).await, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!service.can_sign_in("ann").await);
    })
    .await;
}
