//! `/api/User` and `/api/Invitation`: what administrators do with accounts, and that nobody else may.

use database::on;
use reqwest::header::COOKIE;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::kit::{DAY, PASSWORD, ROBOT_SECRET, TestService, each_database};
use crate::log_capture::LogCapture;

/// The number of connections that wait for a lock.
const WAITERS: &str =
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";

impl TestService {
    /// A token of the client `robot`.
    async fn client_token(&self) -> String {
        let form =
            [("grant_type", "client_credentials"), ("client_id", "robot"), ("client_secret", ROBOT_SECRET)];
        let answer: Value = self.post("/connect/token", &form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn count_administrators(&self) -> i64 {
        let count = "select count(*) from account where role = 'Admin' and disabled_at is null";
        let (count,): (i64,) =
            on!(&self.db, read, pool => sqlx::query_as(count).fetch_one(pool).await).unwrap();
        count
    }

    /// Makes every account an administrator whose first tokens are valid.
    async fn promote_all(&self) {
        let promote_all = "update account set role = 'Admin', token_generation = 0";
        on!(&self.db, write, pool => sqlx::query(promote_all).execute(pool).await.map(drop)).unwrap();
    }

    /// Takes the role of administrator from every account.
    async fn demote_all(&self) {
        let demote_all = "update account set role = 'User'";
        on!(&self.db, write, pool => sqlx::query(demote_all).execute(pool).await.map(drop)).unwrap();
    }

    async fn call(&self, token: &str, method: Method, path: &str, body: Value) -> Response {
        let request = self.request(method.as_str(), path).bearer_auth(token);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        request.send().await.unwrap()
    }

    async fn change(&self, token: &str, name: &str, body: Value) -> u16 {
        self.call(token, Method::PATCH, &format!("/api/User/{name}"), body).await.status().as_u16()
    }

    async fn list_users(&self, token: &str) -> Vec<(String, String, bool)> {
        let list: Value = self.call(token, Method::GET, "/api/User", json!(null)).await.json().await.unwrap();
        let row = |user: &Value| {
            let text = |key: &str| user[key].as_str().unwrap().to_owned();
            (text("name"), text("role"), user["disabled"].as_bool().unwrap())
        };
        list["users"].as_array().unwrap().iter().map(row).collect()
    }
}

#[tokio::test]
async fn an_administrator_creates_lists_and_updates_accounts() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        let ann = json!({"name": "Ann", "password": PASSWORD, "role": "Worker"});
        let created = service.call(&root, Method::POST, "/api/User", ann.clone()).await;
        assert_eq!(created.status(), StatusCode::CREATED);
        assert_eq!(
            created.json::<Value>().await.unwrap(),
            json!({"name": "Ann"}),
            "a given password is not returned"
        );
        assert_eq!(service.roles("ann").await, ["User", "Worker"]);
        assert_eq!(service.call(&root, Method::POST, "/api/User", ann).await.status(), StatusCode::CONFLICT);
        let bob: Value = service
            .call(&root, Method::POST, "/api/User", json!({"name": "bob"}))
            .await
            .json()
            .await
            .unwrap();
        let password = bob["password"].as_str().expect("a generated password");
        assert_eq!(service.request_token("bob", password).await.status(), StatusCode::OK);

        assert_eq!(service.change(&root, "ANN", json!({"role": "User"})).await, 204);
        assert_eq!(service.roles("ann").await, ["User"]);
        let rows = [("Ann", "User", false), ("bob", "User", false), ("root", "Admin", false)];
        assert_eq!(
            service.list_users(&root).await,
            rows.map(|(name, role, off)| (name.to_owned(), role.to_owned(), off))
        );
        let page = service.call(&root, Method::GET, "/api/User?limit=1&after=Ann", json!(null)).await;
        assert_eq!(page.json::<Value>().await.unwrap()["users"][0]["name"], "bob");
        assert_eq!(service.change(&root, "nobody", json!({"role": "User"})).await, 404);
        assert_eq!(service.change(&root, "bob", json!({})).await, 422, "the update is empty");
        let program = service.client_token().await;
        assert_eq!(
            service.change(&program, "bob", json!({"role": "Admin"})).await,
            403,
            "a client is no administrator"
        );
    })
    .await;
}

#[tokio::test]
async fn a_disabled_account_is_refused_everywhere_until_it_is_enabled() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let (root, ann, session) =
            (service.token("root").await, service.token("ann").await, service.sign_in("ann").await);
        assert_eq!(service.change(&root, "ann", json!({"disabled": true})).await, 204);
        assert!(!service.can_sign_in("ann").await);
        let home = service.get("/").header(COOKIE, &session).send().await.unwrap();
        assert_ne!(home.status(), StatusCode::OK, "the session has ended");
        let response = service.get("/connect/userinfo").bearer_auth(&ann).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert!(service.list_users(&root).await.contains(&("ann".to_owned(), "User".to_owned(), true)));
        assert_eq!(service.change(&root, "ann", json!({"disabled": false})).await, 204);
        assert!(service.can_sign_in("ann").await);
        let home = service.get("/").header(COOKIE, &session).send().await.unwrap();
        assert_ne!(home.status(), StatusCode::OK, "an ended session stays ended");
    })
    .await;
}

#[tokio::test]
async fn a_password_reset_replaces_the_password_and_ends_sessions() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let (root, session) = (service.token("root").await, service.sign_in("ann").await);
        let response = service.call(&root, Method::POST, "/api/User/ann/reset", json!(null)).await;
        let response: Value = response.json().await.unwrap();
        assert!(!service.can_sign_in("ann").await, "the old password is refused");
        let new = response["password"].as_str().unwrap();
        assert_eq!(service.request_token("ann", new).await.status(), StatusCode::OK);
        let home = service.get("/").header(COOKIE, &session).send().await.unwrap();
        assert_ne!(home.status(), StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn an_invitation_registers_one_account_with_its_role() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        let created = service.call(&root, Method::POST, "/api/Invitation", json!({"role": "Worker"})).await;
        assert_eq!(created.status(), StatusCode::CREATED);
        let created: Value = created.json().await.unwrap();
        let (_, token) = created["link"].as_str().unwrap().split_once("invitation=").unwrap();
        assert_eq!(
            service.register_with_fields("rig", &[("invitation", token)]).await.status(),
            StatusCode::SEE_OTHER
        );
        assert_eq!(service.roles("rig").await, ["User", "Worker"]);
        let again = service.register_with_fields("another", &[("invitation", token)]).await;
        assert_ne!(again.status(), StatusCode::SEE_OTHER);

        // The invitations of a former administrator do not work, even if they were created before.
        let other = json!({"name": "other", "password": PASSWORD, "role": "Admin"});
        assert_eq!(service.call(&root, Method::POST, "/api/User", other).await.status(), StatusCode::CREATED);
        let other = service.token("other").await;
        let created = service.call(&other, Method::POST, "/api/Invitation", json!({"role": "Admin"})).await;
        let created: Value = created.json().await.unwrap();
        let (_, token) = created["link"].as_str().unwrap().split_once("invitation=").unwrap();
        assert_eq!(service.change(&root, "other", json!({"disabled": true})).await, 204);
        let late = service.register_with_fields("late", &[("invitation", token), ("IsAdmin", "true")]).await;
        assert_ne!(late.status(), StatusCode::SEE_OTHER);
        assert!(!service.can_sign_in("late").await);
        service.clock.advance(8 * DAY);
        let root = service.token("root").await;
        assert_eq!(service.change(&root, "other", json!({"disabled": false})).await, 204);
        let late = service.register_with_fields("late", &[("invitation", token)]).await;
        assert_ne!(late.status(), StatusCode::SEE_OTHER, "the invitation has expired");
    })
    .await;
}

/// However many administrators are demoted at once, one stays.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_administrator_stays() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        for change in
            [json!({"role": "User"}), json!({"disabled": true}), json!({"role": "Worker", "disabled": true})]
        {
            assert_eq!(service.change(&root, "root", change).await, 409);
        }
        assert_eq!(
            service.change(&root, "root", json!({"role": "Admin"})).await,
            204,
            "nothing would change"
        );
        let mut admins = vec![("root".to_owned(), root.clone())];
        for name in ["one", "two", "three"] {
            let admin = json!({"name": name, "password": PASSWORD, "role": "Admin"});
            let created = service.call(&root, Method::POST, "/api/User", admin).await;
            assert_eq!(created.status(), StatusCode::CREATED);
            admins.push((name.to_owned(), service.token(name).await));
        }
        for round in 0..10 {
            service.promote_all().await;
            let mut race = JoinSet::new();
            for (name, own) in admins.clone() {
                let service = service.clone();
                race.spawn(async move { service.change(&own, &name, json!({"role": "User"})).await });
            }
            let mut answers = race.join_all().await;
            answers.sort_unstable();
            assert_eq!(answers, [204, 204, 204, 409], "round {round}");
            assert_eq!(service.count_administrators().await, 1, "round {round}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_an_administrator_may_call_the_api() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let (root, ann) = (service.token("root").await, service.token("ann").await);
        let routes = [
            (Method::GET, "/api/User"),
            (Method::POST, "/api/User"),
            (Method::PATCH, "/api/User/root"),
            (Method::POST, "/api/User/ann/reset"),
            (Method::POST, "/api/Invitation"),
        ];
        for (method, path) in routes.clone() {
            let refused = service.call(&ann, method.clone(), path, json!({})).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(refused.headers()["content-type"], "application/problem+json");
            let anonymous = service.request(method.as_str(), path).send().await.unwrap();
            assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
            let forged = service.call("forged", method.clone(), path, json!({})).await;
            assert_eq!(forged.status(), StatusCode::UNAUTHORIZED, "{method} {path}");
        }
        // A role that was taken away does not count, although the token still has it.
        service.demote_all().await;
        for (method, path) in routes {
            let refused = service.call(&root, method.clone(), path, json!({})).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{method} {path}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_refusal_names_the_field_and_the_rule() {
    each_database(|service| async move {
        service.register_admin("root").await;
        let root = service.token("root").await;
        for (body, pointer, rule) in [
            (json!({"name": "a b"}), "/name", "a user name must be made of"),
            (json!({"name": "ann", "password": "short"}), "/password", "8 characters"),
            (json!({"name": "ann", "role": "King"}), "", "unknown variant `King`"),
            (json!({"name": "ann", "admin": true}), "", "unknown field `admin`"),
        ] {
            let refused = service.call(&root, Method::POST, "/api/User", body).await;
            assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
            let problem: Value = refused.json().await.unwrap();
            assert_eq!(problem["errors"][0]["pointer"], pointer);
            assert!(problem["detail"].as_str().unwrap().contains(rule), "{problem}");
        }
        // A reader of accounts finds the wrong type before the end that is missing.
        for body in ["{", r#"{"name": 1, "#] {
            let request = service.request("POST", "/api/User").bearer_auth(&root).body(body);
            assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{body}");
        }
        for body in [json!(["ann", "seven-green-herons", "Admin"]), json!([]), json!(["Admin", null])] {
            for (method, path) in [
                (Method::POST, "/api/User"),
                (Method::PATCH, "/api/User/root"),
                (Method::POST, "/api/Invitation"),
            ] {
                let refused = service.call(&root, method, path, body.clone()).await;
                assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{path} {body}");
            }
        }
        let create = |media_type: &str, encoding: &str, body: &str| {
            let request = service.request("POST", "/api/User").bearer_auth(&root);
            request
                .header("Content-Type", media_type)
                .header("Content-Encoding", encoding)
                .body(body.to_owned())
                .send()
        };
        for (media_type, encoding, body, status) in [
            ("text/xml", "identity", r#"{"name": "ann"}"#, 415),
            ("application/json", "br", r#"{"name": "ann"}"#, 415),
            ("application/json", "gzip", r#"{"name": "ann"}"#, 400),
            ("application/json", "identity", "\u{feff}{\"name\": \"ann\"}", 201),
        ] {
            let answer = create(media_type, encoding, body).await.unwrap();
            assert_eq!(answer.status(), status, "{media_type} {encoding} {body}");
        }
        for path in ["/api/User/ann/reset?force=1", "/api/Invitation?role=Admin", "/api/User?role=Admin"] {
            let refused =
                service.call(&root, Method::POST, path, json!({"role": "User", "name": "bob"})).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
        }
        for query in ["limit=0", "limit=x", "page=2"] {
            let refused = service.call(&root, Method::GET, &format!("/api/User?{query}"), json!(null)).await;
            assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query}");
        }
    })
    .await;
}

/// On PostgreSQL an update waits for another one of the same account that is not committed yet. The audit line must compare with
/// what that one has written. (On SQLite there is one writer at a time.)
#[tokio::test]
async fn an_audit_line_compares_with_the_values_that_were_replaced() {
    let log = LogCapture::start();
    each_database(|service| {
        let log = &log;
        async move {
            let database::Db::Postgres(pools) = &service.db else { return };
            service.register_admin("root").await;
            service.register("ann").await;
            let root = service.token("root").await;
            let mut first = pools.write.begin().await.unwrap();
            let to_worker = "update account set role = 'Worker' where name = 'ann'";
            sqlx::query(to_worker).execute(&mut *first).await.unwrap();
            let mut second = Box::pin(service.change(&root, "ann", json!({"role": "User"})));
            loop {
                let waiters = sqlx::query_as::<_, (i64,)>(WAITERS).fetch_one(&pools.read);
                tokio::select! {
                    status = &mut second => panic!("the second update did not wait: {status}"),
                    seen = waiters => if seen.unwrap() == (1,) { break },
                }
            }
            first.commit().await.unwrap();
            assert_eq!(second.await, 204);
            let text = log.text();
            let line = text.lines().find(|line| line.contains("role_changed")).expect("an audit line");
            assert!(line.contains("from Worker to User"), "{line}");
        }
    })
    .await;
}
