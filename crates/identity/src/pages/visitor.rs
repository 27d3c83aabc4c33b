//! The visitor of a page: the session that the cookie names, and its account.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use web::cookies::HostCookie;
use web::request_log::CallerId;

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
        let cookie = session_cookie(&app.settings);
        let Some(session) = cookie.read(&parts.headers).map(TokenDigest::of) else {
            return Ok(Self { account: None, session: None });
        };
        let account = app.sessions.find(session).await?;
        if let Some(account) = &account {
            CallerId::set(&parts.extensions, account.id.to_string());
        }
        Ok(Self { account, session: Some(session) })
    }
}

/// The session cookie.
fn session_cookie(settings: &Settings) -> HostCookie {
    HostCookie::new("tasker-identity", settings.is_https())
}

/// The header that sets the cookie of a new session.
pub(crate) fn set_cookie(settings: &Settings, session: &SecretToken) -> HeaderValue {
    session_cookie(settings).set(session.as_str()).expect("a cookie may contain base64url")
}

/// The header that deletes the cookie.
pub(crate) fn delete_cookie(settings: &Settings) -> HeaderValue {
    session_cookie(settings).delete()
}
