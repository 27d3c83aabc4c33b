//! By what right someone registers: the box says what they want, a proof says what they get.

use std::net::IpAddr;

use axum::http::StatusCode;
use tracing::info;

use crate::accounts::account_store::CreationRight;
use crate::accounts::registration_tokens::{Kind, RegistrationToken};
use crate::app::App;
use crate::authentication::rate_limit::RateLimit;
use crate::pages::PageError;
use crate::pages::visitor::Visitor;
use crate::role::Role;
use crate::settings::OpenRegistration;

const NEEDS_PROOF: &str = "Full Access needs a proof: the setup link that Tasker prints until there is an \
    administrator, an invitation from an administrator, or an administrator who is signed in and makes the account.";

const TICK_OR_LEAVE: &str =
    "This link grants Full Access. Tick the box to accept it, or register without the link.";

const OTHER_ROLE: &str = "This invitation does not grant Full Access.";

const NEITHER: &str = "IsAdmin is `true`, or it is left out.";

/// A proof that came with the request and holds.
pub(crate) struct PresentedToken {
    pub(crate) kind: Kind,
    pub(crate) token: String,
    pub(crate) proof: RegistrationToken,
}

impl PresentedToken {
    /// The proof that was presented, if one was. One that does not hold is an error, and is counted.
    pub(crate) async fn find<'a>(
        app: &App,
        from: IpAddr,
        presented: impl Fn(Kind) -> Option<&'a str>,
    ) -> Result<Option<Self>, PageError> {
        let mut all = Kind::ALL.into_iter().filter_map(|kind| Some((kind, presented(kind)?)));
        let Some((kind, token)) = all.next() else { return Ok(None) };
        app.throttle.check(RateLimit::RegistrationToken, from).await??;
        if let Some(proof) = app.registration_tokens.find(kind, token).await? {
            return Ok(Some(Self { kind, token: token.to_owned(), proof }));
        }
        app.throttle.consume(RateLimit::RegistrationToken, from).await?;
        info!(target: "audit", { audit.event = "proof_refused", client.address = %from, proof.kind = kind.name() }, "refused a proof ({}) from {from}", kind.name());
        Err(PageError::SpentProof)
    }

    pub(crate) fn grants_full_access(&self) -> bool {
        self.proof.role == Role::Admin
    }
}

/// What stands against an account.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RegistrationRefusal {
    /// Nobody may register without a proof.
    Closed,
    /// What is wrong with the box.
    Box(StatusCode, &'static str),
}

/// The right to make an account, with or without Full Access. Never less than was asked for, and never more.
pub(crate) fn right(
    app: &App,
    visitor: &Visitor,
    carried: Option<&PresentedToken>,
    is_admin: Option<&str>,
) -> Result<CreationRight, RegistrationRefusal> {
    let wants_all = match is_admin {
        Some("true") => true,
        Some("false") | None => false,
        Some(_) => return Err(RegistrationRefusal::Box(StatusCode::UNPROCESSABLE_ENTITY, NEITHER)),
    };
    if let Some(carried) = carried {
        return match (wants_all, carried.grants_full_access()) {
            (true, false) => Err(RegistrationRefusal::Box(StatusCode::FORBIDDEN, OTHER_ROLE)),
            (false, true) => Err(RegistrationRefusal::Box(StatusCode::UNPROCESSABLE_ENTITY, TICK_OR_LEAVE)),
            _ => Ok(CreationRight::RegistrationToken(carried.proof.digest)),
        };
    }
    let role = if wants_all { Role::Admin } else { Role::User };
    match (app.settings.open_registration, role) {
        _ if visitor.is_admin() => Ok(CreationRight::Admin(role)),
        (OpenRegistration::Full, _) | (OpenRegistration::Users, Role::User) => Ok(CreationRight::Open(role)),
        (_, Role::Admin) => Err(RegistrationRefusal::Box(StatusCode::FORBIDDEN, NEEDS_PROOF)),
        _ => Err(RegistrationRefusal::Closed),
    }
}
