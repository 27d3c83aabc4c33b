//! Inviting someone: an administrator makes a link that grants one role to one account.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tracing::info;

use super::home::{self, Invitation};
use super::{PageError, lead_to};
use crate::app::App;
use crate::form::{BadForm, Form};
use crate::link;
use crate::proofs::Kind;
use crate::return_url::LOGIN_PAGE;
use crate::role::Role;
use crate::visitor::Visitor;

/// `POST /Auth/Invite`
pub(crate) async fn invite(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Result<Form, BadForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let Some(account) = &visitor.account else { return Ok(lead_to(LOGIN_PAGE)) };
    if !visitor.is_admin() {
        return Err(PageError::NotAdmin);
    }
    let role = Role::named(form.text("Role")).ok_or(PageError::NoSuchRole)?;
    let token = app.proofs.mint(Kind::Invitation, role, Some(account.id)).await?;
    info!(target: "audit", { audit.event = "invitation_made", account.id = %account.id, role = role.name() }, "{} made an invitation ({})", account.id, role.name());
    let link = link::register(&app.settings, Kind::Invitation, &token);
    Ok(home::page(account, Some(Invitation { role, link })))
}
