//! The start page: the account that is signed in, its roles, and for administrators a form that creates invitations.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::accounts::account_store::Account;
use crate::app::App;
use crate::pages::notice::Notice;
use crate::pages::render::{redirect, render};
use crate::pages::return_url::LOGIN_PAGE;
use crate::pages::visitor::Visitor;
use crate::role::Role;

/// An invitation that was just created. Its link is not stored in clear text, so the page shows it once.
pub(crate) struct NewInvitation {
    pub(crate) role: Role,
    pub(crate) link: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage<'a> {
    name: &'a str,
    id: String,
    roles: Vec<Role>,
    is_admin: bool,
    notice: Option<String>,
    invitation: Option<NewInvitation>,
}

/// `GET /`
pub(crate) async fn show(State(app): State<Arc<App>>, visitor: Visitor) -> Response {
    let Some(account) = &visitor.account else { return redirect(LOGIN_PAGE) };
    let page = page(account, visitor.notice.as_ref(), None);
    visitor.saying_notice(&app.settings, page)
}

/// The start page of an account, with a notice and with the invitation that was just created, if any.
pub(crate) fn page(
    account: &Account,
    notice: Option<&Notice>,
    invitation: Option<NewInvitation>,
) -> Response {
    let status = if invitation.is_some() { StatusCode::CREATED } else { StatusCode::OK };
    render(
        status,
        &HomePage {
            name: &account.name,
            id: account.id.to_string(),
            roles: account.role.claims(),
            is_admin: account.role == Role::Admin,
            notice: notice.map(Notice::sentence),
            invitation,
        },
    )
}
