//! `POST /api/Invitation`: issues a link that registers one account.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use domain::object_only;
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;
use web::json_body::JsonBody;

use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::api::caller::{Admin, REVOKED_MEANWHILE};
use crate::api::problem::ApiError;
use crate::app::App;
use crate::role::Role;

object_only!(deserialize: NewInvitation);

/// An invitation to create.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({"role": "Worker"})))]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct NewInvitation {
    /// The role of the account that is registered with it.
    role: Role,
}

/// A link that registers one account with a role.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitation {
    /// The address of the registration page with the invitation; it expires after seven days.
    #[schema(format = "uri")]
    link: String,
    /// The role of the account.
    role: Role,
}

/// Create an invitation
///
/// A link that registers one account with a role. It is valid for seven days, and only while the account that created it is an
/// administrator. Requires the role Admin.
#[utoipa::path(post, path = "/api/Invitation", operation_id = "createInvitation", tag = "Accounts", security(("bearer" = ["Admin"])),
    request_body = NewInvitation,
    responses((status = 201, body = Invitation, description = "The invitation is created; its link is not shown again",
            headers(("Location" = String, description = "The link"))),
        (status = 400, description = "The body is not JSON"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Admin(acting): Admin,
    body: JsonBody<ApiError>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<Invitation>), ApiError> {
    let NewInvitation { role } = body.parse()?;
    let token = app.registration_tokens.issue_invitation(role, acting).await?.ok_or(REVOKED_MEANWHILE)?;
    let admin = acting.id;
    info!(target: "audit", { audit.event = "invitation_created", account.id = %admin, role = role.name() }, "{admin} created an invitation ({})", role.name());
    let link = registration_link::url(&app.settings, Kind::Invitation, &token);
    Ok((StatusCode::CREATED, [(LOCATION, link.clone())], Json(Invitation { link, role })))
}
