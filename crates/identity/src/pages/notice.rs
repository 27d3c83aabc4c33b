//! Notices: what a form has done, said by the page that it redirects to (post, redirect, get). A short-lived cookie carries the notice there.

use std::time::Duration;

use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use web::cookies::HostCookie;

use crate::accounts::username::UserName;
use crate::settings::Settings;

/// What a form has done.
pub(crate) enum Notice {
    /// The account of this name was created.
    AccountCreated(UserName),
    PasswordChanged,
    SignedOut,
    DeviceAllowed,
    DeviceDenied,
    GrantEnded,
    SessionEnded,
}

impl Notice {
    /// The notice that the browser brings.
    pub(crate) fn read(settings: &Settings, headers: &HeaderMap) -> Option<Self> {
        match cookie(settings).read(headers)?.split_once(':')? {
            ("account-created", name) => UserName::parse(name).ok().map(Self::AccountCreated),
            ("password-changed", _) => Some(Self::PasswordChanged),
            ("signed-out", _) => Some(Self::SignedOut),
            ("device-allowed", _) => Some(Self::DeviceAllowed),
            ("device-denied", _) => Some(Self::DeviceDenied),
            ("grant-ended", _) => Some(Self::GrantEnded),
            ("session-ended", _) => Some(Self::SessionEnded),
            _ => None,
        }
    }

    /// Adds the notice to a redirect.
    pub(crate) fn add_to(&self, settings: &Settings, response: &mut Response) {
        let value = match self {
            Self::AccountCreated(name) => format!("account-created:{name}"),
            Self::PasswordChanged => "password-changed:".to_owned(),
            Self::SignedOut => "signed-out:".to_owned(),
            Self::DeviceAllowed => "device-allowed:".to_owned(),
            Self::DeviceDenied => "device-denied:".to_owned(),
            Self::GrantEnded => "grant-ended:".to_owned(),
            Self::SessionEnded => "session-ended:".to_owned(),
        };
        let value = cookie(settings).set(&value).expect("user names may stand in a cookie");
        response.headers_mut().append(SET_COOKIE, value);
    }

    /// The notice as a sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::AccountCreated(name) => format!("The account {name} is created."),
            Self::PasswordChanged => {
                "The password is changed. Other browsers and programs are signed out.".to_owned()
            }
            Self::SignedOut => "You are signed out.".to_owned(),
            Self::DeviceAllowed => "The device is allowed. It goes on within a few seconds.".to_owned(),
            Self::DeviceDenied => "The device is denied.".to_owned(),
            Self::GrantEnded => "The program is signed out.".to_owned(),
            Self::SessionEnded => "The other browser is signed out.".to_owned(),
        }
    }
}

/// The header that deletes the notice, for the page that has said it.
pub(crate) fn delete_cookie(settings: &Settings) -> HeaderValue {
    cookie(settings).delete()
}

fn cookie(settings: &Settings) -> HostCookie {
    HostCookie::new("tasker-notice", settings.is_https()).lasting(Duration::from_mins(1))
}
