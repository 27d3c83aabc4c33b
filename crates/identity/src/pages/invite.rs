//! Inviting someone: an administrator makes a link that grants one role to one account.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tracing::info;

use super::{PageError, redirect};
use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::app::App;
use crate::http::form::{Form, InvalidForm};
use crate::pages::home::{self, Invitation};
use crate::pages::return_url::LOGIN_PAGE;
use crate::pages::visitor::Visitor;
use crate::role::Role;

/// `POST /Auth/Invite`
pub(crate) async fn invite(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let Some(account) = &visitor.account else { return Ok(redirect(LOGIN_PAGE)) };
    if !visitor.is_admin() {
        return Err(PageError::NotAdmin);
    }
    let role = Role::named(form.text("Role")).ok_or(PageError::NoSuchRole)?;
    let token = app.registration_tokens.mint(Kind::Invitation, role, Some(account.id)).await?;
    info!(target: "audit", { audit.event = "invitation_made", account.id = %account.id, role = role.name() }, "{} made an invitation ({})", account.id, role.name());
    let link = registration_link::register(&app.settings, Kind::Invitation, &token);
    Ok(home::page(account, Some(Invitation { role, link })))
}
