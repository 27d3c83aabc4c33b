//! The lockout of accounts by the source of the failures: strangers lock out strangers.

use std::net::Ipv4Addr;

use reqwest::StatusCode;
use reqwest::header::{COOKIE, SET_COOKIE};

use crate::kit::{PASSWORD, TestService, each_database, password_grant};

impl TestService {
    /// The answer to a sign-in at the token endpoint from 192.0.2.`host`.
    async fn sign_in_from(&self, host: u8, password: &str) -> StatusCode {
        let form = password_grant("ann", password);
        let from = Ipv4Addr::new(192, 0, 2, host);
        self.post_from(from, "/connect/token", &form).send().await.unwrap().status()
    }

    /// The answer to a sign-in at the page from 192.0.2.`host`, and the cookie of the device.
    async fn sign_in_with_device(&self, host: u8, device: &str) -> (StatusCode, Option<String>) {
        let form = [("Username", "ann"), ("Password", PASSWORD), ("ReturnUrl", "/")];
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
