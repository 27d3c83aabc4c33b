//! Access tokens that end before they expire: by another password, another role, disabling, or the removal of a client.

use reqwest::header::{COOKIE, ETAG, IF_NONE_MATCH};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use web::revocation::subject_digest;

use crate::kit::{HOUR, PASSWORD, ROBOT_SECRET, TestService, claims, each_database};

impl TestService {
    async fn administer(&self, token: &str, method: &str, path: &str, body: Value) -> Response {
        self.request(method, path).bearer_auth(token).body(body.to_string()).send().await.unwrap()
    }

    /// The answers of both kinds of endpoints that take a token.
    async fn answers_to(&self, token: &str) -> (u16, u16) {
        let userinfo = self.get("/connect/userinfo").bearer_auth(token).send().await.unwrap();
        let users = self.get("/api/User").bearer_auth(token).send().await.unwrap();
        (userinfo.status().as_u16(), users.status().as_u16())
    }

    /// The generation in the public list; `None` if the subject is not in it.
    async fn revoked_before(&self, subject: &str) -> Option<i64> {
        let list = self.json("/connect/revocations").await;
        let list = list["revocations"].as_array().unwrap();
        let entry = list.iter().find(|entry| entry["subject"] == subject_digest(subject).as_str())?;
        entry["generation"].as_i64()
    }

    async fn robot_token(&self) -> Option<String> {
        let form =
            [("grant_type", "client_credentials"), ("client_id", "robot"), ("client_secret", ROBOT_SECRET)];
        let answer: Value = self.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().map(str::to_owned)
    }
}

fn subject(token: &str) -> String {
    claims(token)["sub"].as_str().unwrap().to_owned()
}

fn generation(token: &str) -> Option<i64> {
    claims(token)["generation"].as_i64()
}

#[tokio::test]
async fn a_password_reset_revokes_the_tokens_of_the_account_and_of_no_other() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let root = service.token("root").await;
        service.administer(&root, "PATCH", "/api/User/ann", json!({"role": "Admin"})).await;
        let ann = service.token("ann").await;
        assert_eq!(service.answers_to(&ann).await, (200, 200));

        let reset = service.administer(&root, "POST", "/api/User/ann/reset", json!({})).await;
        let password: Value = reset.json().await.unwrap();
        assert_eq!(service.answers_to(&ann).await, (401, 401));
        let made = service.administer(&ann, "POST", "/api/User", json!({"name": "eve"})).await;
        assert_eq!(made.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(service.answers_to(&root).await, (200, 200));

        let answer = service.request_token("ann", password["password"].as_str().unwrap()).await;
        let answer: Value = answer.json().await.unwrap();
        let new = answer["access_token"].as_str().unwrap();
        assert_eq!(service.answers_to(new).await, (200, 200));
        let revoked_before = service.revoked_before(&subject(&ann)).await;
        assert!(generation(&ann) < revoked_before && revoked_before == generation(new), "{revoked_before:?}");
        assert_eq!(service.revoked_before(&subject(&root)).await, None);
    })
    .await;
}

#[tokio::test]
async fn tokens_stay_revoked_when_the_account_is_enabled_again_or_gets_its_role_back() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let root = service.token("root").await;
        let change = async |changes: &[Value]| {
            for change in changes {
                service.administer(&root, "PATCH", "/api/User/ann", change.clone()).await;
            }
        };
        change(&[json!({"role": "Admin"})]).await;
        for changes in [
            [json!({"disabled": true}), json!({"disabled": false})],
            [json!({"role": "User"}), json!({"role": "Admin"})],
        ] {
            let before = service.token("ann").await;
            change(&changes[..1]).await;
            assert_eq!(service.answers_to(&before).await, (401, 401), "{changes:?}");
            change(&changes[1..]).await;
            assert_eq!(service.answers_to(&before).await, (401, 401), "{changes:?}");
            assert!(generation(&before) < service.revoked_before(&subject(&before)).await);
        }
        let token = service.token("ann").await;
        change(&[json!({"role": "Admin", "disabled": false})]).await;
        assert_eq!(service.answers_to(&token).await, (200, 200), "what changes nothing revokes nothing");
    })
    .await;
}

#[tokio::test]
async fn a_reset_ends_the_sessions_and_the_unused_invitations_of_the_account() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let root = service.token("root").await;
        service.administer(&root, "PATCH", "/api/User/ann", json!({"role": "Admin"})).await;
        let session = service.sign_in("ann").await;
        let invitation = service.invite(&session, "Admin").await;
        service.clock.advance(1);
        service.administer(&root, "POST", "/api/User/ann/reset", json!({})).await;
        let home = service.get("/").header(COOKIE, session).send().await.unwrap();
        assert_eq!(home.status(), StatusCode::SEE_OTHER);
        let fields = [("IsAdmin", "true"), ("invitation", invitation.as_str())];
        let refused = service.register_with_fields("eve", &fields).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    })
    .await;
}

#[tokio::test]
async fn whatever_revokes_the_tokens_ends_the_sessions_for_good() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let root = service.token("root").await;
        for changes in [
            [json!({"role": "Worker"}), json!({"role": "User"})],
            [json!({"disabled": true}), json!({"disabled": false})],
        ] {
            let session = service.sign_in("ann").await;
            for change in &changes {
                service.administer(&root, "PATCH", "/api/User/ann", change.clone()).await;
                let home = service.get("/").header(COOKIE, &session).send().await.unwrap();
                assert_eq!(home.status(), StatusCode::SEE_OTHER, "{change}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn the_tokens_of_a_client_that_is_removed_or_has_another_secret_are_revoked() {
    each_database(|service| async move {
        let first = service.robot_token().await.unwrap();
        let unchanged = service.another().await;
        assert_eq!(unchanged.revoked_before("robot").await, None);

        let without = service.another_with(|settings| settings.clients.clear()).await;
        assert!(generation(&first) < without.revoked_before("robot").await);
        assert_eq!(without.robot_token().await, None);
        assert_eq!(without.answers_to(&first).await, (401, 401));

        let again = service.another().await;
        let second = again.robot_token().await.unwrap();
        assert_eq!(generation(&second), again.revoked_before("robot").await);
        let other_secret = service
            .another_with(|settings| settings.clients[0].secret = Some("another secret than before".into()))
            .await;
        assert!(generation(&second) < other_secret.revoked_before("robot").await);
    })
    .await;
}

#[tokio::test]
async fn the_operator_revokes_by_another_password_only() {
    each_database(|service| async move {
        service.identity.ensure_account("local", PASSWORD).await.unwrap();
        let token = service.token("local").await;
        service.identity.ensure_account("local", PASSWORD).await.unwrap();
        assert_eq!(service.answers_to(&token).await, (200, 403));
        service.identity.ensure_account("local", "another password").await.unwrap();
        assert_eq!(service.answers_to(&token).await, (401, 401));
    })
    .await;
}

#[tokio::test]
async fn the_list_is_sent_again_only_when_it_has_changed_and_forgets_what_has_expired() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let (root, ann) = (service.token("root").await, service.token("ann").await);
        let fetch = async |tag: &str| {
            let request = service.get("/connect/revocations").header(IF_NONE_MATCH, tag);
            request.send().await.unwrap()
        };
        let empty = fetch("\"none\"").await;
        assert_eq!(empty.status(), StatusCode::OK);
        let tag = empty.headers()[ETAG].to_str().unwrap().to_owned();
        assert_eq!(fetch(&tag).await.status(), StatusCode::NOT_MODIFIED);
        service.administer(&root, "POST", "/api/User/ann/reset", json!({})).await;
        assert_eq!(fetch(&tag).await.status(), StatusCode::OK);
        assert!(service.revoked_before(&subject(&ann)).await.is_some());
        assert!(!service.page("/connect/revocations").await.contains(&subject(&ann)));
        service.clock.advance(25 * HOUR);
        assert_eq!(service.revoked_before(&subject(&ann)).await, None);
    })
    .await;
}
