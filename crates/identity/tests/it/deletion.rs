//! The deletion of accounts, and that everyone reads the own account.

use reqwest::header::{COOKIE, LOCATION};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use web::revocation::subject_digest;

use crate::kit::{DAY, HOUR, PASSWORD, TestService, claims, each_database};

impl TestService {
    async fn ask(&self, token: &str, method: &str, path: &str) -> Response {
        self.request(method, path).bearer_auth(token).send().await.unwrap()
    }

    async fn delete(&self, token: &str, name: &str) -> u16 {
        self.ask(token, "DELETE", &format!("/api/User/{name}")).await.status().as_u16()
    }

    /// Whether the public list of revoked tokens refuses this one.
    async fn publishes_revocation_of(&self, token: &str) -> bool {
        let claims = claims(token);
        let subject = subject_digest(claims["sub"].as_str().unwrap());
        let list = self.json("/connect/revocations").await;
        let entry =
            list["revocations"].as_array().unwrap().iter().find(|entry| entry["subject"] == subject.as_str());
        entry.is_some_and(|entry| claims["generation"].as_i64() < entry["generation"].as_i64())
    }
}

#[tokio::test]
async fn a_deleted_account_ends_at_once_and_its_name_is_anothers() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("Ann").await;
        let (root, ann) = (service.token("root").await, service.token("ann").await);
        let session = service.sign_in("ann").await;
        assert_eq!(service.delete(&root, "nobody").await, 404);
        assert_eq!(service.delete(&ann, "ann").await, 403, "only administrators delete accounts");
        assert_eq!(service.delete(&root, "ANN").await, 204);
        assert_eq!(service.delete(&root, "ann").await, 404);

        assert_eq!(service.ask(&ann, "GET", "/connect/userinfo").await.status(), StatusCode::UNAUTHORIZED);
        assert!(service.publishes_revocation_of(&ann).await);
        let home = service.get("/").header(COOKIE, session).send().await.unwrap();
        assert_eq!(home.status(), StatusCode::SEE_OTHER);
        assert!(!service.can_sign_in("ann").await);

        service.register("ann").await;
        let new = service.token("ann").await;
        assert_ne!(claims(&ann)["sub"], claims(&new)["sub"], "the tasks of the deleted account stay its own");
        assert!(!service.publishes_revocation_of(&new).await);
        assert_eq!(service.ask(&ann, "GET", "/connect/userinfo").await.status(), StatusCode::UNAUTHORIZED);

        service.clock.advance(DAY + HOUR);
        service.identity.run_maintenance_once().await.unwrap();
        assert!(!service.publishes_revocation_of(&ann).await, "its last token has expired");
    })
    .await;
}

#[tokio::test]
async fn the_link_of_a_deleted_account_stays_used_and_its_invitations_end() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let invitation = service.invite(&service.sign_in("root").await, "Admin").await;
        let fields = [("IsAdmin", "true"), ("invitation", invitation.as_str())];
        assert_eq!(service.register_with_fields("ann", &fields).await.status(), StatusCode::SEE_OTHER);
        let of_ann = service.invite(&service.sign_in("ann").await, "Admin").await;
        assert_eq!(service.delete(&service.token("root").await, "ann").await, 204);
        for invitation in [&invitation, &of_ann] {
            let fields = [("IsAdmin", "true"), ("invitation", invitation.as_str())];
            let refused = service.register_with_fields("eve", &fields).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN);
        }
        assert_eq!(service.count_accounts().await, 1);
    })
    .await;
}

/// However many administrators delete each other at once, one stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_cannot_be_deleted() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        assert_eq!(service.delete(&root, "root").await, 409);
        let mut admins = vec![("root".to_owned(), root.clone())];
        for name in ["one", "two", "three"] {
            let body = json!({"name": name, "password": PASSWORD, "role": "Admin"}).to_string();
            let created =
                service.request("POST", "/api/User").bearer_auth(&root).body(body).send().await.unwrap();
            assert_eq!(created.status(), StatusCode::CREATED);
            admins.push((name.to_owned(), service.token(name).await));
        }
        let mut race = JoinSet::new();
        for (name, own) in admins {
            let service = service.clone();
            race.spawn(async move { service.delete(&own, &name).await });
        }
        let mut answers = race.join_all().await;
        answers.sort_unstable();
        assert_eq!(answers, [204, 204, 204, 409]);
        assert_eq!(service.count_accounts().await, 1);
    })
    .await;
}

#[tokio::test]
async fn everyone_reads_the_own_account_and_administrators_read_all() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("Ann").await;
        let (root, ann) = (service.token("root").await, service.token("ann").await);
        let body = json!({"name": "bob"}).to_string();
        let created =
            service.request("POST", "/api/User").bearer_auth(&root).body(body).send().await.unwrap();
        let path = created.headers()[LOCATION].to_str().unwrap().to_owned();
        let bob: Value = service.ask(&root, "GET", &path).await.json().await.unwrap();
        assert_eq!(
            (&bob["name"], &bob["role"], &bob["origin"]),
            (&json!("bob"), &json!("User"), &json!("admin"))
        );
        for (token, name, status) in [
            (&ann, "ann", 200),
            (&ann, "bob", 403),
            (&ann, "nobody", 403),
            (&root, "ann", 200),
            (&root, "nobody", 404),
            (&root, "a%20b", 404),
            (&root, "%FF", 404),
        ] {
            let answer = service.ask(token, "GET", &format!("/api/User/{name}")).await;
            assert_eq!(answer.status(), status, "{name}");
            let media_type = if status == 200 { "application/json" } else { "application/problem+json" };
            assert_eq!(answer.headers()["content-type"], media_type, "{name}");
        }
    })
    .await;
}
