//! The log: no secret is ever in it.

use reqwest::header::COOKIE;

use crate::kit::{PASSWORD, ROBOT_SECRET, each_database};
use crate::log_capture::LogCapture;

#[tokio::test]
async fn no_password_token_cookie_or_link_is_logged() {
    let log = LogCapture::start();
    each_database(|service| {
        let log = &log;
        async move {
            let setup = service.identity.setup_link().await.unwrap().unwrap();
            let setup = setup.split_once("setup=").unwrap().1.to_owned();
            service.register_with_fields("ann", &[("IsAdmin", "true"), ("setup", &setup)]).await;
            service.register_with_fields("eve", &[("IsAdmin", "true"), ("setup", "a-guessed-link")]).await;
            let session = service.sign_in("ann").await;
            let invitation = service.invite(&session, "Worker").await;
            service.register_with_fields("bob", &[("invitation", &invitation)]).await;
            let token = service.token("ann").await;
            service.get("/connect/userinfo").bearer_auth(&token).send().await.unwrap();
            service.request_token("typed my-password here", "a-wrong-password").await;
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", "robot"),
                ("client_secret", ROBOT_SECRET),
            ];
            service.post("/connect/token", &form).send().await.unwrap();
            service.post("/connect/token?code=in-the-query", &form).send().await.unwrap();
            service.post("/Auth/Logout", &[]).header(COOKIE, &session).send().await.unwrap();

            let text = log.text();
            assert!(
                text.contains("signed in") && text.contains("created an invitation"),
                "the requests were logged"
            );
            let cookie = session.split_once('=').unwrap().1;
            let signature = token.rsplit_once('.').unwrap().1;
            for secret in [
                PASSWORD,
                ROBOT_SECRET,
                "a-wrong-password",
                "my-password",
                "a-guessed-link",
                "in-the-query",
                &setup,
                &invitation,
                cookie,
                signature,
            ] {
                let leak = text.lines().find(|line| line.contains(secret));
                assert!(leak.is_none(), "{leak:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn audit_lines_name_accounts_by_their_ids() {
    let log = LogCapture::start();
    each_database(|service| {
        let log = &log;
        async move {
            service.register_admin("ruth-of-the-test").await;
            service.register("zoe-of-the-test").await;
            let root = service.token("ruth-of-the-test").await;
            for (method, path, body) in [
                ("POST", "/api/User", r#"{"name": "mia-of-the-test"}"#),
                ("PATCH", "/api/User/mia-of-the-test", r#"{"role": "Worker", "disabled": true}"#),
                ("POST", "/api/User/mia-of-the-test/unlock", ""),
                ("POST", "/api/User/mia-of-the-test/reset", ""),
                ("DELETE", "/api/User/mia-of-the-test", ""),
            ] {
                let request = service.request(method, path).bearer_auth(&root).body(body);
                assert!(request.send().await.unwrap().status().is_success(), "{method} {path}");
            }
            let list: serde_json::Value =
                service.get("/api/User").bearer_auth(&root).send().await.unwrap().json().await.unwrap();
            let text = log.text();
            let audited: Vec<_> = text.lines().filter(|line| line.contains("audit.event=")).collect();
            assert!(audited.iter().any(|line| line.contains("account_deleted")), "{audited:#?}");
            let named = audited.iter().find(|line| line.contains("-of-the-test"));
            assert!(named.is_none(), "{named:?}");
            for user in list["users"].as_array().unwrap() {
                let id = user["id"].as_str().unwrap();
                assert!(text.contains(id), "an administrator finds the name of an id: {user}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn every_request_has_an_id_and_a_line_that_names_it() {
    let log = LogCapture::start();
    each_database(|service| {
        let log = &log;
        async move {
            let request = service.get("/Auth/Invite").header("x-request-id", "from-the-test");
            assert_eq!(request.send().await.unwrap().headers()["x-request-id"], "from-the-test");
            let without_id = service.get("/Auth/Login").send().await.unwrap();
            assert!(uuid::Uuid::try_parse(without_id.headers()["x-request-id"].to_str().unwrap()).is_ok());
            let text = log.text();
            let line = text.lines().find(|line| line.contains("from-the-test")).expect("a line with the id");
            assert!(line.contains("/Auth/Invite") && line.contains("405"), "{line}");
        }
    })
    .await;
}
