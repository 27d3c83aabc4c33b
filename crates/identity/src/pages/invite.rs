//! Invitations: an administrator creates a link that registers one account with a role.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use tracing::info;

use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::app::App;
use crate::form_body::{Form, InvalidForm};
use crate::pages::error::PageError;
use crate::pages::home::{self, NewInvitation};
use crate::pages::render::redirect;
use crate::pages::return_url::LOGIN_PAGE;
use crate::pages::visitor::Visitor;
use crate::role::Role;

/// `POST /Auth/Invite`
pub(crate) async fn submit(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    form: Result<Form, InvalidForm>,
) -> Result<Response, PageError> {
    let form = form?;
    let Some(account) = &visitor.account else { return Ok(redirect(LOGIN_PAGE)) };
    let acting = account.acting_admin().ok_or(PageError::NotAdmin)?;
    let role = Role::from_name(form.value_or_empty("Role")).ok_or(PageError::UnknownRole)?;
    let Some(token) = app.registration_tokens.issue_invitation(role, acting).await? else {
        return Ok(redirect(LOGIN_PAGE));
    };
    info!(target: "audit", { audit.event = "invitation_created", account.id = %account.id, role = role.name() }, "{} created an invitation ({})", account.id, role.name());
    let link = registration_link::url(&app.settings, Kind::Invitation, &token);
    Ok(home::page(account, None, Some(NewInvitation { role, link })))
}
