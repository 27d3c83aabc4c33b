//! `POST /api/Invitation`: issues a link that registers one account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use domain::json_objects;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::admin_api::authenticated_admin::Admin;
use crate::admin_api::json_body::RequestBody;
use crate::admin_api::problem::ApiError;
use crate::app::App;
use crate::role::Role;

json_objects!(read: NewInvitation);

#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct NewInvitation {
    role: Role,
}

/// The response: a link that registers one account with this role.
#[derive(Serialize)]
pub(crate) struct Invitation {
    link: String,
    role: Role,
}

/// `POST /api/Invitation`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Admin(admin): Admin,
    body: RequestBody,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Invitation>), ApiError> {
    let NewInvitation { role } = body.parse()?;
    let token = app.registration_tokens.issue(Kind::Invitation, role, Some(admin)).await?;
    info!(target: "audit", { audit.event = "invitation_created", account.id = %admin, role = role.name() }, "{admin} created an invitation ({})", role.name());
    let link = registration_link::url(&app.settings, Kind::Invitation, &token);
    Ok((StatusCode::CREATED, [(LOCATION, link.clone())], Json(Invitation { link, role })))
}
