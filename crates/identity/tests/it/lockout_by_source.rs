//! The lockout of accounts by the source of the failures: strangers lock out strangers.

use std::net::Ipv4Addr;

use database::on;
use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};

use crate::kit::{PASSWORD, SECOND, TestService, each_database, password_grant};

impl TestService {
    /// The answer to a sign-in at the token endpoint from 192.0.2.`host`.
    async fn sign_in_from(&self, host: u8, password: &str) -> StatusCode {
        let form = password_grant("ann", password);
        let from = Ipv4Addr::new(192, 0, 2, host);
        self.post_from(from, "/connect/token", &form).send().await.unwrap().status()
    }

    /// The answer to a sign-in at the page from 192.0.2.`host`, and the cookie of the device.
    async fn sign_in_with_device(&self, host: u8, device: &str) -> (StatusCode, Option<String>) {
        self.present_with_device(host, device, PASSWORD).await
    }

    /// The same with any password.
    async fn present_with_device(
        &self,
        host: u8,
        device: &str,
        password: &str,
    ) -> (StatusCode, Option<String>) {
        let form = [("Username", "ann"), ("Password", password), ("ReturnUrl", "/")];
        let from = Ipv4Addr::new(192, 0, 2, host);
        let request = self.post_from(from, "/Auth/Login", &form).header(COOKIE, device);
        let answer = request.send().await.unwrap();
        let cookies = answer.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        let device = cookies.filter_map(|cookie| cookie.split(';').next());
        let device = device.filter(|cookie| cookie.starts_with("tasker-device=")).map(str::to_owned).next();
        (answer.status(), device)
    }

    async fn guess_from(&self, host: u8, times: usize) {
        for _ in 0..times {
            assert_eq!(self.sign_in_from(host, "not the password").await, StatusCode::BAD_REQUEST);
        }
    }
}

#[tokio::test]
async fn guesses_lock_out_the_address_that_they_come_from() {
    each_database(|service| async move {
        service.register("ann").await;
        service.guess_from(2, 6).await;
        assert_eq!(service.sign_in_from(2, PASSWORD).await, StatusCode::BAD_REQUEST);
        assert_eq!(service.sign_in_from(3, PASSWORD).await, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn known_devices_and_networks_get_in_while_guesses_come_from_everywhere() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.register("ann").await;
        let (status, device) = service.sign_in_with_device(1, "tasker-device=invented").await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        let device = device.unwrap();
        assert_ne!(device, "tasker-device=invented");
        for host in 2..6 {
            service.guess_from(host, 5).await;
        }
        assert_eq!(service.sign_in_from(9, PASSWORD).await, StatusCode::BAD_REQUEST, "neither is known");
        assert_eq!(service.sign_in_from(1, PASSWORD).await, StatusCode::OK, "the network is known");
        let invented = service.sign_in_with_device(9, "tasker-device=invented").await;
        assert_eq!(invented, (StatusCode::UNPROCESSABLE_ENTITY, None));
        let known = service.sign_in_with_device(8, &device).await;
        assert_eq!(known, (StatusCode::SEE_OTHER, Some(device)), "the device is known");

        let root = service.token("root").await;
        let unlock = async |name: &str| {
            let request = service.request("POST", &format!("/api/User/{name}/unlock"));
            request.bearer_auth(&root).send().await.unwrap().status()
        };
        assert_eq!(unlock("nobody").await, StatusCode::NOT_FOUND);
        assert_eq!(unlock("ann").await, StatusCode::NO_CONTENT);
        assert_eq!(
            service.sign_in_from(9, PASSWORD).await,
            StatusCode::OK,
            "an administrator has unlocked it"
        );
    })
    .await;
}

#[tokio::test]
async fn the_operator_unlocks_the_only_administrator() {
    each_database(|service| async move {
        service.register_admin("ann").await;
        service.guess_from(2, 5).await;
        assert_eq!(service.sign_in_from(2, PASSWORD).await, StatusCode::BAD_REQUEST);
        assert!(identity::unlock(&service.db, "Ann").await.unwrap());
        assert!(!identity::unlock(&service.db, "nobody").await.unwrap());
        assert_eq!(service.sign_in_from(2, PASSWORD).await, StatusCode::OK);
    })
    .await;
}

#[tokio::test]
async fn guesses_lock_out_nobody_whose_password_is_generated() {
    each_database(|service| async move {
        service.register_admin("root").await;
        service.identity.ensure_account("local", PASSWORD).await.unwrap();
        let root = service.token("root").await;
        let made = service.request("POST", "/api/User").bearer_auth(&root).body(r#"{"name": "ann"}"#);
        let made: serde_json::Value = made.send().await.unwrap().json().await.unwrap();
        let reset = async |name: &str| {
            let request = service.request("POST", &format!("/api/User/{name}/reset")).bearer_auth(&root);
            let answer: serde_json::Value = request.send().await.unwrap().json().await.unwrap();
            answer["password"].as_str().unwrap().to_owned()
        };
        service.register("bob").await;
        let passwords = [PASSWORD, made["password"].as_str().unwrap(), &reset("bob").await];
        for (name, password) in ["local", "ann", "bob"].into_iter().zip(passwords) {
            for _ in 0..7 {
                let guess = service.request_token(name, "not the password").await;
                assert_eq!(guess.status(), StatusCode::BAD_REQUEST);
            }
            assert_eq!(service.request_token(name, password).await.status(), StatusCode::OK, "{name}");
        }
        let token =
            service.request_token("bob", passwords[2]).await.json::<serde_json::Value>().await.unwrap();
        let own = serde_json::json!({"current": passwords[2], "new": PASSWORD}).to_string();
        let change = service.request("PUT", "/api/User/bob/password").body(own);
        let change = change.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(change.status(), StatusCode::NO_CONTENT);
        for _ in 0..5 {
            service.request_token("bob", "not the password").await;
        }
        assert!(!service.can_sign_in("bob").await, "a password that a person chose is protected");
    })
    .await;
}

#[tokio::test]
async fn a_known_device_is_not_held_back_by_the_failures_of_its_address() {
    each_database(|service| async move {
        service.register("ann").await;
        let device = service.sign_in_with_device(1, "").await.1.unwrap();
        service.exhaust_sign_ins("192.0.2.1").await;
        assert_eq!(service.sign_in_with_device(1, "").await.0, StatusCode::TOO_MANY_REQUESTS);
        let invented = service.sign_in_with_device(1, "tasker-device=invented").await;
        assert_eq!(invented.0, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(service.sign_in_with_device(1, &device).await.0, StatusCode::SEE_OTHER);
        for _ in 0..5 {
            let guess = service.present_with_device(1, &device, "not the password").await;
            assert_eq!(guess.0, StatusCode::UNPROCESSABLE_ENTITY);
        }
        let locked = service.sign_in_with_device(1, &device).await;
        assert_eq!(locked.0, StatusCode::UNPROCESSABLE_ENTITY, "the device has a lock of its own");
    })
    .await;
}

#[tokio::test]
async fn the_sources_and_sessions_of_an_account_are_bounded() {
    each_database(|service| async move {
        service.register("ann").await;
        let device = service.sign_in_with_device(1, "").await.1.unwrap();
        service.clock.advance(SECOND);
        let now = service.clock.now();
        for row in 0..100_u8 {
            let source = "insert into known_source (account, source, last_at) select id, $1, $2 from account";
            let session = "insert into session (digest, account, token_generation, started_at, last_used_at) \
                select $1, id, token_generation, $2, $2 from account";
            on!(&service.db, write, pool => async {
                sqlx::query(source).bind(format!("device {row}")).bind(now).execute(pool).await?;
                sqlx::query(session).bind(vec![row]).bind(now).execute(pool).await.map(drop)
            }.await)
            .unwrap();
        }
        service.clock.advance(SECOND);
        let (status, _) = service.sign_in_with_device(1, &device).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
        for rows in ["select count(*) from known_source", "select count(*) from session"] {
            let (count,): (i64,) =
                on!(&service.db, read, pool => sqlx::query_as(rows).fetch_one(pool).await).unwrap();
            assert_eq!(count, 64, "{rows}");
        }
    })
    .await;
}
