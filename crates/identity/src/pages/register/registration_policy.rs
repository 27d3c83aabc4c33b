//! The registration policy: who may register, and with which role.

use std::net::IpAddr;

use axum::http::StatusCode;
use tracing::info;

use crate::accounts::account_store::CreationRight;
use crate::accounts::registration_tokens::{Kind, RegistrationToken};
use crate::app::App;
use crate::authentication::rate_limit::RateLimit;
use crate::pages::error::PageError;
use crate::pages::visitor::Visitor;
use crate::role::Role;
use crate::settings::OpenRegistration;
use web::network::network;

const FULL_ACCESS_NEEDS_LINK: &str = "Full Access needs one of these: the setup link that Tasker prints until there is an \
    administrator, an invitation from an administrator, or an administrator who is signed in and creates the account.";

const TICK_OR_OMIT_LINK: &str =
    "This link grants Full Access. Tick the box to accept it, or register without the link.";

const INVITED_FOR_OTHER_ROLE: &str = "This invitation does not grant Full Access.";

const INVALID_IS_ADMIN: &str = "The field IsAdmin must be true, false or absent.";

/// A valid registration token that the request presents.
pub(crate) struct PresentedToken {
    pub(crate) kind: Kind,
    /// The token in clear text, for the page's hidden field.
    pub(crate) secret: String,
    pub(crate) token: RegistrationToken,
}

impl PresentedToken {
    /// The token that the request presents, if any; `parameter` reads the parameter of a kind. An invalid token is an error
    /// and counts against a rate limit by network and first characters. A valid token is accepted even when that limit is exhausted.
    pub(crate) async fn find<'a>(
        app: &App,
        client_address: IpAddr,
        parameter: impl Fn(Kind) -> Option<&'a str>,
    ) -> Result<Option<Self>, PageError> {
        let mut presented = Kind::ALL.into_iter().filter_map(|kind| Some((kind, parameter(kind)?)));
        let Some((kind, secret)) = presented.next() else { return Ok(None) };
        if let Some(token) = app.registration_tokens.find(kind, secret).await? {
            return Ok(Some(Self { kind, secret: secret.to_owned(), token }));
        }
        let key = format!("{} {}", network(client_address), prefix(secret));
        let pass = app.rate_limiter.check(RateLimit::RegistrationToken, &key).await??;
        app.rate_limiter.consume(pass).await?;
        info!(target: "audit", { audit.event = "registration_token_refused", client.address = %client_address, token.kind = kind.name() }, "refused a registration token ({}) from {client_address}", kind.name());
        Err(PageError::RegistrationTokenInvalid)
    }

    /// Whether the token registers an administrator.
    pub(crate) fn grants_full_access(&self) -> bool {
        self.token.role == Role::Admin
    }
}

/// The first characters of a token, by which invalid ones are counted: few, so that a network has a bounded number of buckets.
fn prefix(token: &str) -> String {
    token.chars().filter(char::is_ascii_alphanumeric).take(2).collect()
}

/// Why a registration is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RegistrationRefusal {
    /// Nobody may register without a registration token.
    Closed,
    /// The box "Full Access" is wrong: the status, and the sentence to show beside it.
    FullAccess(StatusCode, &'static str),
}

/// The right to create the account that the form asks for; `is_admin` is the form field `IsAdmin`. The account never gets less
/// than was asked for, and never more.
pub(crate) fn authorize_registration(
    app: &App,
    visitor: &Visitor,
    presented: Option<&PresentedToken>,
    is_admin: Option<&str>,
) -> Result<CreationRight, RegistrationRefusal> {
    let refuse = |status, sentence| Err(RegistrationRefusal::FullAccess(status, sentence));
    let wants_full_access = match is_admin {
        Some("true") => true,
        Some("false") | None => false,
        Some(_) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, INVALID_IS_ADMIN),
    };
    if let Some(presented) = presented {
        return match (wants_full_access, presented.grants_full_access()) {
            (true, false) => refuse(StatusCode::FORBIDDEN, INVITED_FOR_OTHER_ROLE),
            (false, true) => refuse(StatusCode::UNPROCESSABLE_ENTITY, TICK_OR_OMIT_LINK),
            _ => Ok(CreationRight::RegistrationToken(presented.token.digest)),
        };
    }
    let role = if wants_full_access { Role::Admin } else { Role::User };
    if let Some(acting) = visitor.acting_admin() {
        return Ok(CreationRight::Admin(role, acting));
    }
    match (app.settings.open_registration, role) {
        (OpenRegistration::Full, _) | (OpenRegistration::Users, Role::User) => Ok(CreationRight::Open(role)),
        (_, Role::Admin) => refuse(StatusCode::FORBIDDEN, FULL_ACCESS_NEEDS_LINK),
        _ => Err(RegistrationRefusal::Closed),
    }
}
