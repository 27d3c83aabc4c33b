//! `/api/User`: lists, reads, creates, changes and deletes accounts, for programs such as the command line.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use domain::object_only;
use serde::{Deserialize, Serialize};
use tracing::info;
use utoipa::ToSchema;
use uuid::Uuid;
use web::client_address::ClientAddress;
use web::json_body::JsonBody;

use crate::accounts::account_password::PasswordRight;
use crate::accounts::account_store::{AccountSummary, CreateResult, CreationRight, StoredPassword};
use crate::accounts::account_update::{AccountUpdate, BeforeUpdate};
use crate::accounts::password_policy;
use crate::accounts::username::UserName;
use crate::api::caller::{Admin, Caller, NamePath, REVOKED_MEANWHILE};
use crate::api::problem::ApiError;
use crate::app::App;
use crate::role::Role;
use crate::secret_token::SecretToken;

object_only!(deserialize: NewUser, UserChange);

/// The most accounts on one page of the list, and the default.
const MAX_PAGE_SIZE: i64 = 1000;

/// Which part of the list.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The most accounts in the answer.
    #[param(value_type = i64, required = false, minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<i64>,
    /// Only accounts whose names follow this one: the last name of the page before.
    #[param(value_type = String, required = false, example = "ann")]
    after: Option<String>,
}

/// A page of accounts.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserList {
    /// The accounts, ordered by name.
    #[schema(max_items = 1000)]
    users: Vec<AccountSummary>,
}

/// An account to create.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({"name": "ann", "role": "Worker"})))]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct NewUser {
    /// The account's name: letters, digits and `. _ - + @`. Upper and lower case do not matter.
    #[schema(max_length = 100, pattern = "^[A-Za-z0-9][A-Za-z0-9._+@-]*$")]
    name: String,
    /// The password. Without one, a password is generated and returned.
    #[schema(max_length = 1024)]
    password: Option<String>,
    /// The account's role; `User` without one.
    role: Option<Role>,
}

/// What to change about an account: its role, whether it is disabled, or both.
#[derive(Deserialize, ToSchema)]
#[schema(examples(json!({"role": "Admin"}), json!({"disabled": true})))]
#[serde(remote = "Self", deny_unknown_fields)]
pub(crate) struct UserChange {
    /// The new role.
    role: Option<Role>,
    /// Whether the account is disabled from now on.
    disabled: Option<bool>,
}

/// The name of an account and its generated password, which is not stored in clear text and cannot be shown again.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewPassword {
    /// The account's name.
    name: String,
    /// The generated password; absent if the caller chose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// List the accounts
///
/// In the order of their names, at most `limit` of them; the page that follows begins `after` the last name. Requires the role Admin.
#[utoipa::path(get, path = "/api/User", operation_id = "listUsers", tag = "Accounts", security(("bearer" = ["Admin"])),
    params(PageQuery),
    responses((status = 200, body = UserList, description = "The accounts"),
        (status = 400, description = "The query is invalid")))]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    _: Admin,
    page: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<UserList>, ApiError> {
    let Query(PageQuery { limit, after }) = page.map_err(|_| ApiError::InvalidQuery)?;
    let limit = limit.unwrap_or(MAX_PAGE_SIZE);
    if !(1..=MAX_PAGE_SIZE).contains(&limit) {
        return Err(ApiError::InvalidQuery);
    }
    let after = after.unwrap_or_default().to_lowercase();
    Ok(Json(UserList { users: app.accounts.list(&after, limit).await? }))
}

/// Read an account
///
/// Everyone reads the own account; reading others requires the role Admin.
#[utoipa::path(get, path = "/api/User/{name}", operation_id = "getUser", tag = "Accounts",
    security(("bearer" = ["User"]), ("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    params(("name" = String, Path, description = "The account's name, in any case")),
    responses((status = 200, body = AccountSummary, description = "The account"),
        (status = 404, description = "There is no such account")))]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    NamePath(name): NamePath,
) -> Result<Json<AccountSummary>, ApiError> {
    if !caller.is_admin() && caller.own_account(&name).is_none() {
        return Err(ApiError::NotAdmin);
    }
    app.accounts.find_summary(name.lower_case()).await?.map(Json).ok_or(ApiError::NotFound)
}

/// Create an account
///
/// Without a password one is generated, which the answer shows this once. Requires the role Admin.
#[utoipa::path(post, path = "/api/User", operation_id = "createUser", tag = "Accounts", security(("bearer" = ["Admin"])),
    request_body = NewUser,
    responses((status = 201, body = NewPassword, description = "The account is created",
            headers(("Location" = String, description = "The account's path"))),
        (status = 400, description = "The body is not JSON"),
        (status = 409, description = "Another account has the name"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Admin(acting): Admin,
    ClientAddress(client_address): ClientAddress,
    body: JsonBody<ApiError>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<NewPassword>), ApiError> {
    let NewUser { name, password, role } = body.parse()?;
    let name = UserName::parse(&name).map_err(|error| ApiError::field("/name", &error))?;
    let (password, generated) = if let Some(password) = password {
        password_policy::check(&password, name.as_str(), app.settings.min_password_length)
            .map_err(|error| ApiError::field("/password", &error))?;
        (password, None)
    } else {
        let generated = SecretToken::random().as_str().to_owned();
        (generated.clone(), Some(generated))
    };
    let role = role.unwrap_or(Role::User);
    let permit = app.password_hasher.acquire(client_address, name.lower_case()).await?;
    let password = StoredPassword { hash: permit.hash(password).await, is_generated: generated.is_some() };
    match app.accounts.create(&name, &password, &CreationRight::Admin(role, acting)).await? {
        CreateResult::Created(id) => {
            info!(target: "audit", { audit.event = "account_created", account.id = %id, by.id = %acting.id, role = role.name() }, "{} created the account {id} ({})", acting.id, role.name());
            let location = [(LOCATION, format!("/api/User/{name}"))];
            let body = NewPassword { name: name.to_string(), password: generated };
            Ok((StatusCode::CREATED, location, Json(body)))
        }
        CreateResult::NotAdmin => Err(REVOKED_MEANWHILE),
        CreateResult::NameTaken | CreateResult::TokenInvalid => Err(ApiError::NameTaken),
    }
}

/// Change an account
///
/// Gives an account another role, disables or enables it. Another role and disabling revoke the account's access tokens and end its
/// sessions. Requires the role Admin.
#[utoipa::path(patch, path = "/api/User/{name}", operation_id = "changeUser", tag = "Accounts", security(("bearer" = ["Admin"])),
    params(("name" = String, Path, description = "The account's name, in any case")), request_body = UserChange,
    responses((status = 204, description = "The account is changed"),
        (status = 400, description = "The body is not JSON"),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "No administrator would be left"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "The request is invalid; `errors` lists each fault and its place")))]
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    Admin(acting): Admin,
    NamePath(name): NamePath,
    body: JsonBody<ApiError>,
) -> Result<StatusCode, ApiError> {
    let UserChange { role, disabled } = body.parse()?;
    if role.is_none() && disabled.is_none() {
        return Err(ApiError::EmptyUpdate);
    }
    let before = app.accounts.update(name.lower_case(), AccountUpdate { role, disabled }, acting).await??;
    audit_update(acting.id, &before, role, disabled);
    Ok(StatusCode::NO_CONTENT)
}

/// Writes an audit line for each value that differs from the one that it replaced.
fn audit_update(admin: Uuid, before: &BeforeUpdate, role: Option<Role>, disabled: Option<bool>) {
    let (id, from) = (before.id, before.role.name());
    if let Some(role) = role.filter(|role| *role != before.role) {
        let to = role.name();
        info!(target: "audit", { audit.event = "role_changed", account.id = %id, by.id = %admin, from, to }, "{admin} changed the role of the account {id} from {from} to {to}");
    }
    match disabled.filter(|disabled| *disabled != before.is_disabled) {
        Some(true) => {
            info!(target: "audit", { audit.event = "account_disabled", account.id = %id, by.id = %admin }, "{admin} disabled the account {id}");
        }
        Some(false) => {
            info!(target: "audit", { audit.event = "account_enabled", account.id = %id, by.id = %admin }, "{admin} enabled the account {id}");
        }
        None => {}
    }
}

/// Delete an account
///
/// Its sessions end and its access tokens are revoked. The name is free for another account, which is another owner: the tasks of the
/// deleted account stay its own. Requires the role Admin.
#[utoipa::path(delete, path = "/api/User/{name}", operation_id = "deleteUser", tag = "Accounts", security(("bearer" = ["Admin"])),
    params(("name" = String, Path, description = "The account's name, in any case")),
    responses((status = 204, description = "The account is deleted"),
        (status = 404, description = "There is no such account"),
        (status = 409, description = "No administrator would be left")))]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Admin(acting): Admin,
    NamePath(name): NamePath,
) -> Result<StatusCode, ApiError> {
    let id = app.accounts.delete(name.lower_case(), acting).await??;
    info!(target: "audit", { audit.event = "account_deleted", account.id = %id, by.id = %acting.id }, "{} deleted the account {id}", acting.id);
    Ok(StatusCode::NO_CONTENT)
}

/// Unlock an account
///
/// Forgets the failed sign-ins of the account, so that the next sign-in is not held back. Requires the role Admin.
#[utoipa::path(post, path = "/api/User/{name}/unlock", operation_id = "unlockUser", tag = "Accounts", security(("bearer" = ["Admin"])),
    params(("name" = String, Path, description = "The account's name, in any case")),
    responses((status = 204, description = "The failed sign-ins are forgotten"),
        (status = 404, description = "There is no such account")))]
pub(crate) async fn unlock(
    State(app): State<Arc<App>>,
    Admin(acting): Admin,
    NamePath(name): NamePath,
) -> Result<StatusCode, ApiError> {
    let (account, _) = app.accounts.find(name.lower_case()).await?.ok_or(ApiError::NotFound)?;
    app.lockout.unlock(account.id, Some(acting)).await?;
    if !app.accounts.is_still_admin(acting).await? {
        return Err(REVOKED_MEANWHILE);
    }
    info!(target: "audit", { audit.event = "account_unlocked", account.id = %account.id, by.id = %acting.id }, "{} unlocked the account {}", acting.id, account.id);
    Ok(StatusCode::NO_CONTENT)
}

/// Reset the password of an account
///
/// Generates a password, which the answer shows this once. The account's sessions end and its access tokens are revoked. Requires the
/// role Admin.
#[utoipa::path(post, path = "/api/User/{name}/reset", operation_id = "resetPassword", tag = "Accounts", security(("bearer" = ["Admin"])),
    params(("name" = String, Path, description = "The account's name, in any case")),
    responses((status = 200, body = NewPassword, description = "The generated password"),
        (status = 404, description = "There is no such account")))]
pub(crate) async fn reset_password(
    State(app): State<Arc<App>>,
    Admin(acting): Admin,
    ClientAddress(client_address): ClientAddress,
    NamePath(name): NamePath,
) -> Result<Json<NewPassword>, ApiError> {
    let (account, _) = app.accounts.find(name.lower_case()).await?.ok_or(ApiError::NotFound)?;
    let password = SecretToken::random().as_str().to_owned();
    let permit = app.password_hasher.acquire(client_address, name.lower_case()).await?;
    let hash = permit.hash(password.clone()).await;
    if app.accounts.set_password(account.id, &hash, PasswordRight::Admin(acting)).await?.is_none() {
        let is_acting = app.accounts.is_still_admin(acting).await?;
        return Err(if is_acting { ApiError::NotFound } else { REVOKED_MEANWHILE });
    }
    info!(target: "audit", { audit.event = "password_reset", account.id = %account.id, by.id = %acting.id }, "{} reset the password of the account {}", acting.id, account.id);
    Ok(Json(NewPassword { name: account.name, password: Some(password) }))
}
