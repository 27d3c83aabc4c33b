//! The log: no secret is ever in it.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use reqwest::header::COOKIE;
use tracing_subscriber::fmt::MakeWriter;

use crate::kit::{PASSWORD, ROBOT_SECRET, each_database};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_password_token_cookie_or_link_is_logged() {
    let log = Log::default();
    // The HTTP client of the tests is in this process too, and hyper logs every header at this level.
    let ours = "audit=trace,identity=trace,database=trace,web=trace,sqlx=trace,axum=trace,tower_http=trace";
    let subscriber = tracing_subscriber::fmt().with_env_filter(ours).with_writer(log.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    each_database(|service| {
        let log = log.clone();
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
