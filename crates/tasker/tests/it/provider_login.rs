//! `tasker login` in a browser and on another device; the sign-in is refreshed, and ended by `tasker logout`.

use std::path::Path;

use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::api_client::{ApiClient, PASSWORD};
use crate::kit::command::{CommandOutput, run, tasker_command};
use crate::kit::process::Process;
use crate::kit::tasker_up::TaskerUp;

/// A browser that is signed in at Identity.
struct Browser {
    http: Client,
    cookie: String,
}

impl Browser {
    async fn sign_in(up: &TaskerUp, name: &str) -> Self {
        let http = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().expect("a client");
        let form = [("Username", name), ("Password", PASSWORD), ("ReturnUrl", "/")];
        let answer = http
            .post(format!("{}/Auth/Login", up.identity_url))
            .form(&form)
            .send()
            .await
            .expect("Identity answers");
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let cookies = answer.headers().get_all(SET_COOKIE).iter();
        let cookies = cookies.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
        let cookie = cookies.collect::<Vec<_>>().join("; ");
        Self { http, cookie }
    }

    async fn get(&self, address: &str) -> Response {
        self.http.get(address).header(COOKIE, &self.cookie).send().await.expect("Identity answers")
    }
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()[LOCATION].to_str().expect("visible ASCII").to_owned()
}

/// Runs `tasker` in the directory of `up`, with the sign-in in `state`.
fn client(up: &TaskerUp, state: &Path, arguments: &[&str]) -> CommandOutput {
    run(tasker_command(up.home(), arguments.iter().copied()).env("XDG_STATE_HOME", state))
}

fn start_login(up: &TaskerUp, state: &Path, arguments: &[&str]) -> Process {
    let arguments = ["login"].iter().chain(arguments).copied();
    Process::start(tasker_command(up.home(), arguments).env("XDG_STATE_HOME", state))
}

fn session(state: &Path) -> Value {
    let text = std::fs::read_to_string(state.join("tasker/session.json")).expect("somebody is signed in");
    serde_json::from_str(&text).expect("the file is JSON")
}

/// A token that lives for less than 60 seconds more is replaced, so each command refreshes the sign-in.
const SHORT_TOKENS: &str = "identity.access_token_ttl_s=60";

#[tokio::test]
async fn a_person_signs_in_in_a_browser_and_stays_signed_in_until_logout() {
    let up = TaskerUp::start_with(&[SHORT_TOKENS]);
    ApiClient::register(&up.urls(), "ann").await;
    let (browser, state) = (Browser::sign_in(&up, "ann").await, TempDir::new().unwrap());
    let mut login = start_login(&up, state.path(), &[]);
    login.wait_for_line("open this address to sign in:");
    let address = format!("http{}", login.wait_for_line("http"));
    let callback = location(&browser.get(&address).await);
    let foreign = callback.replace("state=", "state=x");
    assert_eq!(browser.http.get(&foreign).send().await.unwrap().status(), StatusCode::OK);
    let page = browser.http.get(&callback).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("You can close this page"), "{page}");
    login.wait_for_line("signed in as ann at");
    assert!(login.wait_for_exit().success());

    let first = session(state.path());
    let who = client(&up, state.path(), &["whoami", "-o", "id"]);
    assert_eq!((who.code, who.stdout.as_str()), (0, "ann"), "{}", who.stderr);
    let second = session(state.path());
    assert_ne!(first["refresh_token"], second["refresh_token"], "the sign-in was refreshed");
    let token = client(&up, state.path(), &["token"]).stdout;
    assert_eq!(token, session(state.path())["token"].as_str().unwrap());
    let list = run(tasker_command(up.home(), ["list", "-o", "id"]).env("TASKER_TOKEN", &token));
    assert_eq!(list.code, 0, "a script uses the token: {}", list.stderr);

    let newest = session(state.path());
    let signed_out = client(&up, state.path(), &["logout"]);
    assert_eq!((signed_out.code, signed_out.stderr.as_str()), (0, "signed out"));
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "tasker-cli"),
        ("refresh_token", newest["refresh_token"].as_str().unwrap()),
    ];
    let refused =
        browser.http.post(format!("{}/connect/token", up.identity_url)).form(&form).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "logout has ended it");
}

#[tokio::test]
async fn commands_at_once_refresh_the_sign_in_one_after_the_other() {
    let up = TaskerUp::start_with(&[SHORT_TOKENS]);
    ApiClient::register(&up.urls(), "ann").await;
    let (browser, state) = (Browser::sign_in(&up, "ann").await, TempDir::new().unwrap());
    let mut login = start_login(&up, state.path(), &[]);
    login.wait_for_line("open this address to sign in:");
    let address = format!("http{}", login.wait_for_line("http"));
    browser.http.get(location(&browser.get(&address).await)).send().await.unwrap();
    assert!(login.wait_for_exit().success());
    for _ in 0..3 {
        let whoami =
            || Process::start(tasker_command(up.home(), ["whoami"]).env("XDG_STATE_HOME", state.path()));
        let mut commands: Vec<Process> = std::iter::repeat_with(whoami).take(6).collect();
        for command in &mut commands {
            assert!(command.wait_for_exit().success(), "{:?}", command.output());
        }
    }
}

#[tokio::test]
async fn a_person_signs_in_on_another_device() {
    let up = TaskerUp::start();
    ApiClient::register(&up.urls(), "ann").await;
    let (browser, state) = (Browser::sign_in(&up, "ann").await, TempDir::new().unwrap());
    let mut login = start_login(&up, state.path(), &["--device"]);
    login.wait_for_line("open this address on any device");
    let address: Url = format!("http{}", login.wait_for_line("http")).parse().unwrap();
    let code = login.wait_for_line("and confirm the code ");
    assert_eq!(browser.get(address.as_str()).await.status(), StatusCode::OK);
    let form = [("user_code", &*code), ("decision", "allow")];
    let request = browser.http.post(format!("{}/Device", up.identity_url)).header(COOKIE, &browser.cookie);
    assert_eq!(request.form(&form).send().await.unwrap().status(), StatusCode::SEE_OTHER);
    login.wait_for_line("signed in as ann at");
    assert!(login.wait_for_exit().success());
    assert_eq!(client(&up, state.path(), &["whoami", "-o", "id"]).stdout, "ann");
}

#[tokio::test]
async fn a_person_who_refuses_is_told_to_the_command() {
    let up = TaskerUp::start();
    ApiClient::register(&up.urls(), "ann").await;
    let (browser, state) = (Browser::sign_in(&up, "ann").await, TempDir::new().unwrap());
    let mut login = start_login(&up, state.path(), &["--device"]);
    let code = login.wait_for_line("and confirm the code ");
    let form = [("user_code", &*code), ("decision", "deny")];
    let request = browser.http.post(format!("{}/Device", up.identity_url)).header(COOKIE, &browser.cookie);
    request.form(&form).send().await.unwrap();
    login.wait_for_line("access_denied");
    assert!(!login.wait_for_exit().success());
    assert!(!state.path().join("tasker/session.json").exists());
}
