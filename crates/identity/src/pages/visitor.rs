//! Who looks at a page: the session's cookie, read and written.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::pages::PageError;
use crate::role::Role;
use crate::secret_token::{SecretToken, TokenDigest};
use crate::settings::Settings;

/// Somebody in front of a page, signed in or not.
pub(crate) struct Visitor {
    /// Who they are, if they have signed in.
    pub(crate) account: Option<Account>,
    /// The session that their cookie names, whether or not there is such a session.
    pub(crate) session: Option<TokenDigest>,
}

impl Visitor {
    pub(crate) fn is_admin(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.role == Role::Admin)
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let Some(session) = cookie(&parts.headers, &app.settings) else {
            return Ok(Self { account: None, session: None });
        };
        let account = app.sessions.find(session).await?;
        Ok(Self { account, session: Some(session) })
    }
}

/// With https the prefix `__Host-` makes browsers refuse a cookie of this name from anyone but this very host.
fn name(settings: &Settings) -> &'static str {
    if settings.is_https() { "__Host-tasker-identity" } else { "tasker-identity" }
}

fn cookie(headers: &HeaderMap, settings: &Settings) -> Option<TokenDigest> {
    let name = name(settings);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, text)| TokenDigest::of(text))
}

/// The cookie of a new session. It lasts as long as the browser is open, and the session at most as long as its limits.
pub(crate) fn set_cookie(settings: &Settings, session: &SecretToken) -> HeaderValue {
    write(settings, session.as_str(), "")
}

/// Takes the cookie away.
pub(crate) fn clear_cookie(settings: &Settings) -> HeaderValue {
    write(settings, "", "; Max-Age=0")
}

fn write(settings: &Settings, text: &str, age: &str) -> HeaderValue {
    let secure = if settings.is_https() { "; Secure" } else { "" };
    let cookie = format!("{}={text}; Path=/; HttpOnly; SameSite=Lax{secure}{age}", name(settings));
    HeaderValue::from_str(&cookie).expect("base64url and plain words")
}
