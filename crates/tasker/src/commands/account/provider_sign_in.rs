//! Signing in with a provider of OpenID Connect: in a browser on this machine, or with a code on another device.

use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Html;
use axum::routing::get;
use client::{AccessToken, BrowserAnswer, IdentityClient, Provider};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::commands::session_file::CLIENT_ID;
use crate::terminal;

/// What the command line asks for: who the person is, Tasker's API, and a refresh token.
const SCOPE: &str = "openid profile offline_access TaskerWebAPI";

/// The path to which the browser is sent back.
const CALLBACK: &str = "/callback";

/// How long a person may take in the browser.
const BROWSER_TIMEOUT: Duration = Duration::from_mins(10);

/// What the browser shows in the end. The person reads the outcome on the terminal.
const DONE_PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tasker</title>\
    <meta name=\"color-scheme\" content=\"light dark\"><p>You can close this page and go back to the terminal.</p></html>";

/// The programs that open an address in the person's browser.
const OPENERS: [&str; 2] = ["xdg-open", "open"];

/// Signs in in a browser, whose answer comes to a port of the loopback address (RFC 8252).
pub async fn in_browser(identity: &IdentityClient, provider: &Provider) -> Result<AccessToken> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port can be opened")?;
    let redirect_uri = format!("http://{}{CALLBACK}", listener.local_addr()?);
    let sign_in = provider
        .in_browser(CLIENT_ID, &redirect_uri, SCOPE)
        .ok_or_else(|| anyhow!("{} has no sign-in in a browser: use `tasker login NAME`", provider.issuer))?;
    let (sender, mut answers) = mpsc::channel(1);
    let routes = Router::new().route(CALLBACK, get(receive)).with_state(sender);
    terminal::print_note(&format!("open this address to sign in:\n  {}", sign_in.address));
    open(sign_in.address.as_str());
    let code = async {
        loop {
            let answer = answers.recv().await.context("the browser's answer cannot be received")?;
            match sign_in.code_of(provider, answer) {
                Ok(code) => return Ok(code),
                // A page that was not asked may call the port, too.
                Err(client::BrowserRefusal::Foreign) => {}
                Err(refusal) => return Err::<SecretString, anyhow::Error>(refusal.into()),
            }
        }
    };
    let code = tokio::select! {
        code = timeout(BROWSER_TIMEOUT, code) => code.context("nobody has signed in within ten minutes")??,
        served = axum::serve(listener, routes).into_future() => {
            served.context("the browser's answer cannot be received")?;
            bail!("the browser's answer cannot be received");
        }
    };
    Ok(identity.redeem(provider, &sign_in, &code).await?)
}

async fn receive(
    State(answers): State<mpsc::Sender<BrowserAnswer>>,
    Query(answer): Query<BrowserAnswer>,
) -> Html<&'static str> {
    // Nobody waits any more if an earlier answer was the right one.
    answers.send(answer).await.ok();
    Html(DONE_PAGE)
}

/// Opens an address in the browser, if this machine has one. The person can open it, too.
fn open(address: &str) {
    for opener in OPENERS {
        let mut command = Command::new(opener);
        command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if command.spawn().is_ok() {
            return;
        }
    }
}

/// Signs in with a code that a person confirms on another device (RFC 8628).
pub async fn on_another_device(identity: &IdentityClient, provider: &Provider) -> Result<AccessToken> {
    let codes = identity.begin_device(provider, CLIENT_ID, SCOPE).await?;
    let codes = codes.ok_or_else(|| {
        anyhow!("{} has no sign-in on another device: use `tasker login NAME`", provider.issuer)
    })?;
    let minutes = codes.expires_in / 60;
    let address = codes.verification_uri_complete.as_ref().unwrap_or(&codes.verification_uri);
    terminal::print_note(&format!(
        "open this address on any device within {minutes} min:\n  {}\nand confirm the code {}",
        terminal::escape_line(address),
        terminal::escape_line(&codes.user_code)
    ));
    Ok(identity.await_device(provider, CLIENT_ID, &codes).await?)
}
