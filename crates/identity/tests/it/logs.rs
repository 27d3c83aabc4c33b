//! What the log is told.

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
async fn s121_no_password_token_cookie_or_link_is_ever_logged() {
    let log = Log::default();
    // The tests' own HTTP client lives in this process too, and hyper tells everything at this level.
    let ours = "audit=trace,identity=trace,store=trace,sqlx=trace,axum=trace,tower_http=trace";
    let subscriber = tracing_subscriber::fmt().with_env_filter(ours).with_writer(log.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    each_database(|house| {
        let log = log.clone();
        async move {
            let setup = house.identity.setup_link().await.unwrap().unwrap();
            let setup = setup.split_once("setup=").unwrap().1.to_owned();
            house.register_with("ann", &[("IsAdmin", "true"), ("setup", &setup)]).await;
            house.register_with("eve", &[("IsAdmin", "true"), ("setup", "a-guessed-link")]).await;
            let session = house.sign_in("ann").await;
            let invitation = house.invite(&session, "Worker").await;
            house.register_with("bob", &[("invitation", &invitation)]).await;
            let token = house.token("ann").await;
            house.get("/connect/userinfo").bearer_auth(&token).send().await.unwrap();
            house.ask_token("typed my-password here", "a-wrong-password").await;
            let form = [
                ("grant_type", "client_credentials"),
                ("client_id", "robot"),
                ("client_secret", ROBOT_SECRET),
            ];
            house.post("/connect/token", &form).send().await.unwrap();
            house.post("/connect/token?code=in-the-query", &form).send().await.unwrap();
            house.post("/Auth/Logout", &[]).header(COOKIE, &session).send().await.unwrap();

            let said = log.text();
            assert!(
                said.contains("signed in") && said.contains("made an invitation"),
                "something was logged"
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
                let told = said.lines().find(|line| line.contains(secret));
                assert!(told.is_none(), "{told:?}");
            }
        }
    })
    .await;
}
