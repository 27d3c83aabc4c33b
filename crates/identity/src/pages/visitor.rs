//! The visitor of a page: the session that the cookie names, and its account.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::http::request::Parts;
use axum::response::Response;
use database::DatabaseError;
use web::cookies::HostCookie;
use web::request_log::CallerId;

use crate::accounts::account_store::Account;
use crate::accounts::acting_admin::ActingAdmin;
use crate::app::App;
use crate::authentication::lockout::SOURCE_RETENTION;
use crate::pages::error::PageError;
use crate::pages::notice::{self, Notice};
use crate::secret_token::{SecretToken, TokenDigest};
use crate::settings::Settings;

/// Who visits a page, signed in or not.
pub(crate) struct Visitor {
    /// The account, if the visitor is signed in.
    pub(crate) account: Option<Account>,
    /// When the session began, in microseconds since 1970; 0 without one.
    signed_in_at: i64,
    /// The session that the cookie names, whether or not there is such a session.
    pub(crate) session: Option<TokenDigest>,
    /// The cookie that names the device, whether or not it was issued here.
    device: Option<String>,
    /// What the form before has done.
    pub(crate) notice: Option<Notice>,
}

/// A visitor who is signed in.
#[derive(Clone, Copy)]
pub(crate) struct SignedIn<'a> {
    pub(crate) account: &'a Account,
    /// When, in microseconds since 1970.
    pub(crate) at: i64,
    pub(crate) session: TokenDigest,
}

impl Visitor {
    /// The visitor, if signed in.
    pub(crate) fn signed_in(&self) -> Option<SignedIn<'_>> {
        let (account, session) = (self.account.as_ref()?, self.session?);
        Some(SignedIn { account, at: self.signed_in_at, session })
    }

    /// The device that the cookie names.
    pub(crate) fn device(&self) -> Option<TokenDigest> {
        self.device.as_deref().map(TokenDigest::of)
    }

    /// Starts a session for the account and remembers the device, with the cookies of both in `response`. `false`, and nothing is done,
    /// if another password or role was set since `account` was read.
    pub(crate) async fn start_session(
        &self,
        app: &App,
        account: &Account,
        response: &mut Response,
    ) -> Result<bool, DatabaseError> {
        let Some(session) = app.sessions.start(account).await? else { return Ok(false) };
        let device = self.issued_device(app).await?;
        app.lockout.remember_device(account, TokenDigest::of(&device)).await?;
        response.headers_mut().append(SET_COOKIE, set_cookie(&app.settings, &session));
        response.headers_mut().append(SET_COOKIE, set_device_cookie(&app.settings, &device));
        Ok(true)
    }

    /// The cookie of the device; a new one unless this Identity has issued it.
    async fn issued_device(&self, app: &App) -> Result<String, DatabaseError> {
        match &self.device {
            Some(device) if app.lockout.is_issued(TokenDigest::of(device)).await? => Ok(device.clone()),
            _ => Ok(SecretToken::random().as_str().to_owned()),
        }
    }

    /// A page that says the notice, if there is one: the next page does not say it again.
    pub(crate) fn saying_notice(&self, settings: &Settings, mut page: Response) -> Response {
        if self.notice.is_some() {
            page.headers_mut().append(SET_COOKIE, notice::delete_cookie(settings));
        }
        page
    }

    /// The visitor as an administrator who acts, if the session is that of one.
    pub(crate) fn acting_admin(&self) -> Option<ActingAdmin> {
        self.account.as_ref().and_then(Account::acting_admin)
    }

    /// Whether the visitor is signed in as an administrator.
    pub(crate) fn is_admin(&self) -> bool {
        self.acting_admin().is_some()
    }
}

impl FromRequestParts<Arc<App>> for Visitor {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, PageError> {
        let device = device_cookie(&app.settings).read(&parts.headers).map(str::to_owned);
        let notice = Notice::read(&app.settings, &parts.headers);
        let cookie = session_cookie(&app.settings);
        let Some(session) = cookie.read(&parts.headers).map(TokenDigest::of) else {
            return Ok(Self { account: None, signed_in_at: 0, session: None, device, notice });
        };
        let (account, signed_in_at) = app.sessions.find(session).await?.unzip();
        if let Some(account) = &account {
            CallerId::set(&parts.extensions, account.id.to_string());
        }
        let signed_in_at = signed_in_at.unwrap_or_default();
        Ok(Self { account, signed_in_at, session: Some(session), device, notice })
    }
}

/// The session cookie.
fn session_cookie(settings: &Settings) -> HostCookie {
    HostCookie::new("tasker-identity", settings.is_https())
}

/// The cookie of a device that an account has signed in from. It proves no identity; with it a sign-in is not held back by the
/// failures of strangers.
fn device_cookie(settings: &Settings) -> HostCookie {
    HostCookie::new("tasker-device", settings.is_https())
        .lasting(Duration::from_micros(SOURCE_RETENTION.unsigned_abs()))
}

/// The header that sets the cookie of a device.
fn set_device_cookie(settings: &Settings, device: &str) -> HeaderValue {
    device_cookie(settings).set(device).expect("base64url may stand in a cookie")
}

/// The header that sets the cookie of a new session.
fn set_cookie(settings: &Settings, session: &SecretToken) -> HeaderValue {
    session_cookie(settings).set(session.as_str()).expect("a cookie may contain base64url")
}

/// The header that deletes the cookie.
pub(crate) fn delete_cookie(settings: &Settings) -> HeaderValue {
    session_cookie(settings).delete()
}
