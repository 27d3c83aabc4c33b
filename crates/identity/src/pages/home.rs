//! The page of who is signed in: who they are, what they may do, the way out.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::{redirect, show};
use crate::accounts::account_store::Account;
use crate::pages::return_url::LOGIN_PAGE;
use crate::pages::visitor::Visitor;
use crate::role::Role;

/// An invitation that was just made: its link is shown this once.
pub(super) struct Invitation {
    pub(super) role: Role,
    pub(super) link: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    name: &'a str,
    id: String,
    roles: Vec<Role>,
    is_admin: bool,
    invitation: Option<Invitation>,
}

/// `GET /`
pub(crate) async fn home(visitor: Visitor) -> Response {
    match visitor.account {
        Some(account) => page(&account, None),
        None => redirect(LOGIN_PAGE),
    }
}

pub(super) fn page(account: &Account, invitation: Option<Invitation>) -> Response {
    let status = if invitation.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    show(
        status,
        &HomePage {
            name: &account.name,
            id: account.id.to_string(),
            roles: account.role.claims(),
            is_admin: account.role == Role::Admin,
            invitation,
        },
    )
}
