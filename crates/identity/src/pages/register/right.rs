//! By what right someone registers: the box says what they want, a proof says what they get.

use std::net::IpAddr;

use axum::http::StatusCode;
use tracing::info;

use crate::accounts::Grant;
use crate::app::App;
use crate::pages::PageError;
use crate::proofs::{Kind, Proof};
use crate::role::Role;
use crate::settings::OpenRegistration;
use crate::throttle::Allowance;
use crate::visitor::Visitor;

const NEEDS_PROOF: &str = "Full Access needs a proof: the setup link that Tasker prints until there is an \
    administrator, an invitation from an administrator, or an administrator who is signed in and makes the account.";

const TICK_OR_LEAVE: &str =
    "This link grants Full Access. Tick the box to accept it, or register without the link.";

const OTHER_ROLE: &str = "This invitation does not grant Full Access.";

const NEITHER: &str = "IsAdmin is `true`, or it is left out.";

/// A proof that came with the request and holds.
pub(super) struct Carried {
    pub(super) kind: Kind,
    pub(super) token: String,
    pub(super) proof: Proof,
}

impl Carried {
    /// The proof that was presented, if one was. One that does not hold is an error, and is counted.
    pub(super) async fn find<'a>(
        app: &App,
        from: IpAddr,
        presented: impl Fn(Kind) -> Option<&'a str>,
    ) -> Result<Option<Self>, PageError> {
        let mut all = Kind::ALL.into_iter().filter_map(|kind| Some((kind, presented(kind)?)));
        let Some((kind, token)) = all.next() else { return Ok(None) };
        app.throttle.check(Allowance::Proof, from).await??;
        if let Some(proof) = app.proofs.find(kind, token).await? {
            return Ok(Some(Self { kind, token: token.to_owned(), proof }));
        }
        app.throttle.spend(Allowance::Proof, from).await?;
        info!(target: "audit", { audit.event = "proof_refused", client.address = %from, proof.kind = kind.name() }, "refused a proof ({}) from {from}", kind.name());
        Err(PageError::SpentProof)
    }

    pub(super) fn grants_full_access(&self) -> bool {
        self.proof.role == Role::Admin
    }
}

/// What stands against an account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// Nobody may register without a proof.
    Closed,
    /// What is wrong with the box.
    Box(StatusCode, &'static str),
}

/// The right to make an account, with or without Full Access. Never less than was asked for, and never more.
pub(super) fn right(
    app: &App,
    visitor: &Visitor,
    carried: Option<&Carried>,
    is_admin: Option<&str>,
) -> Result<Grant, Objection> {
    let wants_all = match is_admin {
        Some("true") => true,
        Some("false") | None => false,
        Some(_) => return Err(Objection::Box(StatusCode::UNPROCESSABLE_ENTITY, NEITHER)),
    };
    if let Some(carried) = carried {
        return match (wants_all, carried.grants_full_access()) {
            (true, false) => Err(Objection::Box(StatusCode::FORBIDDEN, OTHER_ROLE)),
            (false, true) => Err(Objection::Box(StatusCode::UNPROCESSABLE_ENTITY, TICK_OR_LEAVE)),
            _ => Ok(Grant::Proof(carried.proof.digest)),
        };
    }
    let role = if wants_all { Role::Admin } else { Role::User };
    match (app.settings.open_registration, role) {
        _ if visitor.is_admin() => Ok(Grant::Admin(role)),
        (OpenRegistration::Full, _) | (OpenRegistration::Users, Role::User) => Ok(Grant::Open(role)),
        (_, Role::Admin) => Err(Objection::Box(StatusCode::FORBIDDEN, NEEDS_PROOF)),
        _ => Err(Objection::Closed),
    }
}
