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
