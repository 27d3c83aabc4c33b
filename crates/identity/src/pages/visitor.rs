//! The visitor of a page: the session that the cookie names, and its account.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::pages::error::PageError;
use crate::role::Role;
use crate::secret_token::{SecretToken, TokenDigest};
use crate::settings::Settings;

/// Who visits a page, signed in or not.
pub(crate) struct Visitor {
    /// The account, if the visitor is signed in.
    pub(crate) account: Option<Account>,
    /// The session that the cookie names, whether or not there is such a session.
    pub(crate) session: Option<TokenDigest>,
}

impl Visitor {
    /// Whether the visitor is signed in as an administrator.
    pub(crate) fn is_admin(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.role == Role::Admin)
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let Some(session) = read_cookie(&parts.headers, &app.settings) else {
            return Ok(Self { account: None, session: None });
        };
        let account = app.sessions.find(session).await?;
        Ok(Self { account, session: Some(session) })
    }
}

/// The name of the cookie. Over HTTPS browsers accept a name with the prefix `__Host-` from this very host only.
fn cookie_name(settings: &Settings) -> &'static str {
    if settings.is_https() { "__Host-tasker-identity" } else { "tasker-identity" }
}

fn read_cookie(headers: &HeaderMap, settings: &Settings) -> Option<TokenDigest> {
    let name = cookie_name(settings);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    let mut pairs =
        cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| TokenDigest::of(value))
}

/// The cookie of a new session. It ends with the browser's session.
pub(crate) fn set_cookie(settings: &Settings, session: &SecretToken) -> HeaderValue {
    cookie(settings, session.as_str(), "")
}

/// The header that deletes the cookie.
pub(crate) fn delete_cookie(settings: &Settings) -> HeaderValue {
    cookie(settings, "", "; Max-Age=0")
}

fn cookie(settings: &Settings, value: &str, max_age: &str) -> HeaderValue {
    let secure = if settings.is_https() { "; Secure" } else { "" };
    let cookie =
        format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{max_age}", cookie_name(settings));
    HeaderValue::from_str(&cookie).expect("base64url and attributes are visible ASCII")
}
