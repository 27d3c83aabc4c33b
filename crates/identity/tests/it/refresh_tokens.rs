//! Refresh tokens: their rotation, and what ends them (check list S43 to S47, S55).

use reqwest::StatusCode;
use reqwest::header::COOKIE;
use serde_json::Value;
use tokio::join;

use crate::kit::{DAY, PASSWORD, SECOND, TestService, each_database_with};
use crate::oauth_client::{APP, Browser, SITE, add_clients, error, is_accepted, refresh, text};

async fn refreshed(service: &TestService, token: &str) -> Value {
    let answer = refresh(service, APP, token, &[]).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

/// S43: an old token is in the hands of a thief, or the new one is.
#[tokio::test]
async fn a_refresh_token_that_is_used_again_ends_the_grant() {
    each_database_with(add_clients, |service| async move {
        let tokens = Browser::register(&service, "ann").await.tokens().await;
        let first = text(&tokens, "refresh_token");
        let second = refreshed(&service, first).await;
        assert!(second["id_token"].is_string() && is_accepted(&service, text(&second, "access_token")).await);
        service.clock.advance(11 * SECOND);
        assert_eq!(error(refresh(&service, APP, first, &[]).await).await, "invalid_grant");
        let newest = text(&second, "refresh_token");
        assert_eq!(
            error(refresh(&service, APP, newest, &[]).await).await,
            "invalid_grant",
            "the whole grant has ended"
        );
        assert!(!is_accepted(&service, text(&second, "access_token")).await);
    })
    .await;
}

/// S44: the answer with the second token was lost; the second is then dead, so that there is one token at any time.
#[tokio::test]
async fn a_client_that_lost_the_answer_may_ask_again_within_ten_seconds() {
    each_database_with(add_clients, |service| async move {
        let tokens = Browser::register(&service, "ann").await.tokens().await;
        let first = text(&tokens, "refresh_token");
        let lost = refreshed(&service, first).await;
        service.clock.advance(9 * SECOND);
        let again = refreshed(&service, first).await;
        let next = refreshed(&service, text(&again, "refresh_token")).await;
        assert_eq!(
            error(refresh(&service, APP, text(&lost, "refresh_token"), &[]).await).await,
            "invalid_grant"
        );
        assert_eq!(
            error(refresh(&service, APP, text(&next, "refresh_token"), &[]).await).await,
            "invalid_grant"
        );
    })
    .await;
}

#[tokio::test]
async fn two_uses_at_once_leave_one_token_that_is_valid() {
    each_database_with(add_clients, |service| async move {
        let tokens = Browser::register(&service, "ann").await.tokens().await;
        let first = text(&tokens, "refresh_token");
        let (one, other) = join!(refreshed(&service, first), refreshed(&service, first));
        let mut valid = 0;
        for answer in [one, other] {
            let answer = refresh(&service, APP, text(&answer, "refresh_token"), &[]).await;
            valid += usize::from(answer.status() == StatusCode::OK);
        }
        assert!(valid <= 1, "never two branches");
    })
    .await;
}

/// S45
#[tokio::test]
async fn a_refresh_token_belongs_to_its_client_and_its_scopes() {
    each_database_with(add_clients, |service| async move {
        let tokens = Browser::register(&service, "ann").await.tokens().await;
        let token = text(&tokens, "refresh_token");
        assert_eq!(error(refresh(&service, "tasker-cli", token, &[]).await).await, "invalid_grant");
        assert_eq!(refresh(&service, SITE, token, &[]).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(error(refresh(&service, "tasker_backend", token, &[]).await).await, "unauthorized_client");
        let wider = refresh(&service, APP, token, &[("scope", "openid email")]).await;
        assert_eq!(error(wider).await, "invalid_scope");
        let narrower = refresh(&service, APP, token, &[("scope", "TaskerWebAPI")]).await;
        let narrower: Value = narrower.json().await.unwrap();
        assert_eq!(text(&narrower, "scope"), "TaskerWebAPI");
        assert!(narrower["id_token"].is_null());
        let all = refreshed(&service, text(&narrower, "refresh_token")).await;
        assert_eq!(
            text(&all, "scope"),
            "openid profile offline_access TaskerWebAPI",
            "the grant keeps its scopes"
        );
        for bad in ["", "x", "x.y", "6f1f6c9e3b3b4f0a9d8e0d8f5c1f2a3b.x"] {
            let refused = refresh(&service, APP, bad, &[]).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{bad}");
        }
    })
    .await;
}

/// S46
#[tokio::test]
async fn a_refresh_token_expires_when_it_is_not_used_and_at_the_end_of_a_year() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let idle = browser.tokens().await;
        let begin = service.clock.now();
        let mut token = text(&idle, "refresh_token").to_owned();
        while service.clock.now() - begin < 340 * DAY {
            service.clock.advance(29 * DAY);
            service.identity.run_maintenance_once().await.unwrap();
            token = text(&refreshed(&service, &token).await, "refresh_token").to_owned();
        }
        service.clock.advance(29 * DAY);
        assert_eq!(error(refresh(&service, APP, &token, &[]).await).await, "invalid_grant");
        let browser = Browser { cookie: service.sign_in("ann").await, ..browser };
        let answer =
            crate::oauth_client::redeem(&service, &browser.code(&[("prompt", "consent")]).await, &[]).await;
        let tokens: Value = answer.json().await.unwrap();
        service.clock.advance(30 * DAY);
        assert_eq!(
            error(refresh(&service, APP, text(&tokens, "refresh_token"), &[]).await).await,
            "invalid_grant"
        );
    })
    .await;
}

/// S55
#[tokio::test]
async fn another_password_and_a_disabled_account_end_refresh_tokens() {
    each_database_with(add_clients, |service| async move {
        service.register_admin("root").await;
        let admin = service.token("root").await;
        for (name, how) in [("ann", "password"), ("bob", "disabled"), ("cid", "role"), ("dan", "deleted")] {
            let browser = Browser::register(&service, name).await;
            let tokens = browser.tokens().await;
            let user = format!("/api/User/{name}");
            let answer = match how {
                "password" => {
                    let form = [
                        ("Password", PASSWORD),
                        ("NewPassword", "another horse battery"),
                        ("ConfirmPassword", "another horse battery"),
                    ];
                    service
                        .post("/Auth/Password", &form)
                        .header(COOKIE, &browser.cookie)
                        .send()
                        .await
                        .unwrap()
                }
                "deleted" => service.request("DELETE", &user).bearer_auth(&admin).send().await.unwrap(),
                "role" => {
                    let body = serde_json::json!({"role": "Worker"});
                    service.request("PATCH", &user).bearer_auth(&admin).json(&body).send().await.unwrap()
                }
                _ => {
                    let body = serde_json::json!({"disabled": true});
                    service.request("PATCH", &user).bearer_auth(&admin).json(&body).send().await.unwrap()
                }
            };
            assert!(
                answer.status().is_success() || answer.status().is_redirection(),
                "{how}: {}",
                answer.status()
            );
            let refused = refresh(&service, APP, text(&tokens, "refresh_token"), &[]).await;
            assert_eq!(error(refused).await, "invalid_grant", "{how}");
            assert!(!is_accepted(&service, text(&tokens, "access_token")).await, "{how}");
        }
    })
    .await;
}

/// S47
#[tokio::test]
async fn the_database_holds_no_code_and_no_refresh_token() {
    each_database_with(add_clients, |service| async move {
        let browser = Browser::register(&service, "ann").await;
        let code = browser.code(&[]).await;
        let tokens: Value = crate::oauth_client::redeem(&service, &code, &[]).await.json().await.unwrap();
        let secret = text(&tokens, "refresh_token").split_once('.').unwrap().1.to_owned();
        let sql = "select * from client_grant where redirect_uri in ($1, $2) or nonce in ($1, $2) or scopes in ($1, $2)";
        let found = database::on!(&service.db, read, pool =>
            sqlx::query(sql).bind(&code).bind(&secret).fetch_all(pool).await.unwrap().len());
        assert_eq!(found, 0);
        let digests = "select 1 from client_grant where length(code_digest) = 32 and length(refresh_digest) = 32";
        let found = database::on!(&service.db, read, pool => sqlx::query(digests).fetch_all(pool).await.unwrap().len());
        assert_eq!(found, 1);
    })
    .await;
}

/// A client that was removed from the settings.
#[tokio::test]
async fn the_grants_of_a_removed_client_end() {
    each_database_with(add_clients, |service| async move {
        let tokens = Browser::register(&service, "ann").await.tokens().await;
        let restarted =
            service.another_with(|settings| settings.clients.retain(|client| client.id != APP)).await;
        let refused = refresh(&restarted, APP, text(&tokens, "refresh_token"), &[]).await;
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(!is_accepted(&service, text(&tokens, "access_token")).await);
    })
    .await;
}
