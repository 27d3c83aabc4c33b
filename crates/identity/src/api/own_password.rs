//! `PUT /api/User/{name}/password`: the password of the own account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use domain::object_only;
use serde::Deserialize;
use utoipa::ToSchema;
use web::client_address::ClientAddress;
use web::json_body::JsonBody;

use crate::api::caller::{Caller, NamePath};
use crate::api::problem::ApiError;
use crate::app::App;
use crate::authentication::lockout::SignInSource;
use crate::password_change::{PasswordChangeError, change_password};

object_only!(deserialize: PasswordChange);

/// Another password for the own account.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({"current": "seven-green-herons", "new": "nine-blue-kettles"})))]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct PasswordChange {
    /// The password that the account has.
    current: String,
    /// The password that it gets.
    #[schema(max_length = 1024)]
    new: String,
}

/// Change the own password
///
/// The current password is checked as at a sign-in, with the same limits. The account's sessions end and its access tokens are revoked,
/// that of this request too.
#[utoipa::path(put, path = "/api/User/{name}/password", operation_id = "changePassword", tag = "Accounts",
    security(("bearer" = ["User"]), ("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    params(("name" = String, Path, description = "The name of the own account, in any case")), request_body = PasswordChange,
    responses((status = 204, description = "The password is changed"),
        (status = 400, description = "The body is not JSON"),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "The account was given another password or role meanwhile"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The current password is wrong, or the new one breaks a rule; `errors` says which"),
        (status = 429, description = "Too many attempts came from this address")))]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    ClientAddress(address): ClientAddress,
    caller: Caller,
    NamePath(name): NamePath,
    body: JsonBody<ApiError>,
) -> Result<StatusCode, ApiError> {
    let account = caller.own_account(&name).ok_or(ApiError::NotOwnAccount)?;
    let PasswordChange { current, new } = body.parse()?;
    let source = SignInSource { address, device: None };
    match change_password(&app, source, account, &current, &new).await {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error @ PasswordChangeError::WrongPassword) => Err(ApiError::field("/current", &error)),
        Err(error @ PasswordChangeError::BadPassword(_)) => Err(ApiError::field("/new", &error)),
        Err(PasswordChangeError::Changed) => Err(ApiError::AccountChanged),
        Err(PasswordChangeError::Service(failure)) => Err(ApiError::Service(failure)),
    }
}
