//! `/api/User`: lists, creates and updates accounts, for programs such as the command line.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderName, StatusCode};
use domain::json_objects;
use serde::{Deserialize, Serialize};
use tracing::info;
use uuid::Uuid;
use web::client_address::ClientAddress;

use crate::accounts::account_store::{AccountSummary, CreateResult, CreationRight};
use crate::accounts::account_update::{AccountUpdate, BeforeUpdate, UpdateResult};
use crate::accounts::password_policy;
use crate::accounts::username::UserName;
use crate::admin_api::authenticated_admin::Admin;
use crate::admin_api::json_body::RequestBody;
use crate::admin_api::problem::ApiError;
use crate::app::App;
use crate::authentication::network::network;
use crate::role::Role;
use crate::secret_token::SecretToken;

json_objects!(read: NewUser, UpdateUser);

/// The most accounts on one page of the list, and the default.
const MAX_PAGE_SIZE: i64 = 1000;

/// The query of `GET /api/User`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    limit: Option<i64>,
    /// The name after which the page begins.
    after: Option<String>,
}

/// A page of the list.
#[derive(Serialize)]
pub(crate) struct UserList {
    users: Vec<AccountSummary>,
}

#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct NewUser {
    name: String,
    /// Without one, a password is generated and returned.
    password: Option<String>,
    role: Option<Role>,
}

#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct UpdateUser {
    role: Option<Role>,
    disabled: Option<bool>,
}

/// The name of an account and its generated password, which is not stored in clear text and cannot be shown again.
#[derive(Serialize)]
pub(crate) struct NewPassword {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// `GET /api/User`: the accounts in the order of their names, a page at a time.
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

/// `POST /api/User`: creates an account.
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Admin(admin): Admin,
    ClientAddress(client_address): ClientAddress,
    body: RequestBody,
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
    let permit = app.password_hasher.acquire(network(client_address)).await?;
    let hash = permit.hash(password).await;
    match app.accounts.create(&name, &hash, &CreationRight::Admin(role)).await? {
        CreateResult::Created(id) => {
            info!(target: "audit", { audit.event = "account_created", account.id = %id, by.id = %admin, role = role.name() }, "{admin} created the account {id} ({name}, {})", role.name());
            let location = [(LOCATION, format!("/api/User/{name}"))];
            let body = NewPassword { name: name.to_string(), password: generated };
            Ok((StatusCode::CREATED, location, Json(body)))
        }
        CreateResult::NameTaken | CreateResult::TokenInvalid => Err(ApiError::NameTaken),
    }
}

/// `PATCH /api/User/{name}`: gives an account another role, disables or enables it.
pub(crate) async fn update(
    State(app): State<Arc<App>>,
    Admin(admin): Admin,
    Path(name): Path<String>,
    body: RequestBody,
) -> Result<StatusCode, ApiError> {
    let UpdateUser { role, disabled } = body.parse()?;
    if role.is_none() && disabled.is_none() {
        return Err(ApiError::EmptyUpdate);
    }
    let name = name.to_lowercase();
    match app.accounts.update(&name, AccountUpdate { role, disabled }).await? {
        UpdateResult::Updated(before) => {
            if disabled == Some(true) {
                app.sessions.end_all(before.id).await?;
            }
            audit_update(admin, &before, role, disabled);
            Ok(StatusCode::NO_CONTENT)
        }
        UpdateResult::LastAdmin => Err(ApiError::LastAdmin),
        UpdateResult::NotFound => Err(ApiError::NotFound),
    }
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

/// `POST /api/User/{name}/unlock`: forgets the failed sign-ins of an account, so that the next one is not held back.
pub(crate) async fn unlock(
    State(app): State<Arc<App>>,
    Admin(admin): Admin,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let (account, _) = app.accounts.find(&name.to_lowercase()).await?.ok_or(ApiError::NotFound)?;
    app.lockout.unlock(account.id).await?;
    info!(target: "audit", { audit.event = "account_unlocked", account.id = %account.id, by.id = %admin }, "{admin} unlocked the account {}", account.id);
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/User/{name}/reset`: sets a generated password, returns it once, and ends the account's sessions.
pub(crate) async fn reset_password(
    State(app): State<Arc<App>>,
    Admin(admin): Admin,
    ClientAddress(client_address): ClientAddress,
    Path(name): Path<String>,
) -> Result<Json<NewPassword>, ApiError> {
    let (account, _) = app.accounts.find(&name.to_lowercase()).await?.ok_or(ApiError::NotFound)?;
    let password = SecretToken::random().as_str().to_owned();
    let permit = app.password_hasher.acquire(network(client_address)).await?;
    let hash = permit.hash(password.clone()).await;
    app.set_password(account.id, &hash).await?;
    info!(target: "audit", { audit.event = "password_reset", account.id = %account.id, by.id = %admin }, "{admin} reset the password of the account {}", account.id);
    Ok(Json(NewPassword { name: account.name, password: Some(password) }))
}
