//! `/api/User`: what an administrator does with the accounts of others, for programs such as the command line.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tracing::info;
use uuid::Uuid;

use crate::accounts::account_store::{Account, AccountSummary, Change, Changed, CreateResult, CreationRight};
use crate::accounts::password_policy;
use crate::accounts::registration_link;
use crate::accounts::registration_tokens::Kind;
use crate::accounts::username::UserName;
use crate::app::App;
use crate::role::Role;
use crate::secret_token::SecretToken;

use crate::admin_api::admin::Admin;
use crate::admin_api::problem::Refusal;

/// The most accounts of one page.
const MOST: i64 = 1000;

/// `GET /api/User`: which page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    limit: Option<i64>,
    after: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct UserList {
    users: Vec<AccountSummary>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
    /// Absent: one is made, and shown once.
    password: Option<String>,
    role: Option<Role>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateUser {
    role: Option<Role>,
    disabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewInvitation {
    role: Role,
}

/// A password that nobody else will see again.
#[derive(Serialize)]
pub(crate) struct NewPassword {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
}

/// A link that makes one account.
#[derive(Serialize)]
pub(crate) struct Invitation {
    link: String,
    role: Role,
}

/// All accounts, by name, a page at a time.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    _: Admin,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<UserList>, Refusal> {
    let Query(Page { limit, after }) = page.map_err(|_| Refusal::Query)?;
    let limit = limit.unwrap_or(MOST);
    if !(1..=MOST).contains(&limit) {
        return Err(Refusal::Query);
    }
    let after = after.unwrap_or_default().to_lowercase();
    Ok(Json(UserList { users: app.accounts.list(&after, limit).await? }))
}

/// Makes an account.
pub(crate) async fn add(
    State(app): State<Arc<App>>,
    Admin(by): Admin,
    body: Bytes,
) -> Result<(StatusCode, Json<NewPassword>), Refusal> {
    let NewUser { name, password, role } = read(&body)?;
    let name = UserName::parse(&name).map_err(|bad| Refusal::field("/name", &bad))?;
    let made = password.is_none().then(|| SecretToken::random().as_str().to_owned());
    let password = match (password, &made) {
        (Some(given), _) => {
            let checked = password_policy::check(&given, name.as_str(), app.settings.min_password_length);
            checked.map_err(|bad| Refusal::field("/password", &bad))?;
            given
        }
        (None, made) => made.clone().unwrap_or_default(),
    };
    let role = role.unwrap_or(Role::User);
    let (_place, hash) = app.hashing.place().await?.hash(password).await;
    match app.accounts.open(&name, &hash, &CreationRight::Admin(role)).await? {
        CreateResult::Account(id) => {
            info!(target: "audit", { audit.event = "account_made", account.id = %id, by.id = %by, role = role.name() }, "{by} made the account {id} ({name}, {})", role.name());
            Ok((StatusCode::CREATED, Json(NewPassword { name: name.to_string(), password: made })))
        }
        CreateResult::NameTaken | CreateResult::ProofSpent => Err(Refusal::NameTaken),
    }
}

/// Gives another role, takes an account out of use, or takes it into use again.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    Admin(by): Admin,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let UpdateUser { role, disabled } = read(&body)?;
    if role.is_none() && disabled.is_none() {
        return Err(Refusal::Unchanged);
    }
    let name = name.to_lowercase();
    let (before, _) = app.accounts.find(&name).await?.ok_or(Refusal::NotFound)?;
    match app.accounts.change(&name, Change { role, disabled }).await? {
        Changed::Account(id) => {
            if disabled == Some(true) {
                app.sessions.end_all(id).await?;
            }
            tell(by, &before, role, disabled);
            Ok(StatusCode::NO_CONTENT)
        }
        Changed::LastAdmin => Err(Refusal::LastAdmin),
        Changed::NotFound => Err(Refusal::NotFound),
    }
}

/// Who changed what, a line for each thing that is otherwise than before.
fn tell(by: Uuid, before: &Account, role: Option<Role>, disabled: Option<bool>) {
    let (id, from) = (before.id, before.role.name());
    if let Some(role) = role.filter(|role| *role != before.role) {
        let to = role.name();
        info!(target: "audit", { audit.event = "role_changed", account.id = %id, by.id = %by, from, to }, "{by} made the account {id} a {to}; it was a {from}");
    }
    match disabled.filter(|disabled| *disabled != before.is_disabled) {
        Some(true) => {
            info!(target: "audit", { audit.event = "account_disabled", account.id = %id, by.id = %by }, "{by} took the account {id} out of use");
        }
        Some(false) => {
            info!(target: "audit", { audit.event = "account_enabled", account.id = %id, by.id = %by }, "{by} took the account {id} into use again");
        }
        None => {}
    }
}

/// Gives a new password, shown once, and ends what the account is signed in to.
pub(crate) async fn reset(
    State(app): State<Arc<App>>,
    Admin(by): Admin,
    Path(name): Path<String>,
) -> Result<Json<NewPassword>, Refusal> {
    let (account, _) = app.accounts.find(&name.to_lowercase()).await?.ok_or(Refusal::NotFound)?;
    let password = SecretToken::random().as_str().to_owned();
    let (_place, hash) = app.hashing.place().await?.hash(password.clone()).await;
    app.accounts.set_password(account.id, &hash).await?;
    app.sessions.end_all(account.id).await?;
    app.throttle.clear(account.id).await?;
    info!(target: "audit", { audit.event = "password_reset", account.id = %account.id, by.id = %by }, "{by} gave the account {} a new password", account.id);
    Ok(Json(NewPassword { name: account.name, password: Some(password) }))
}

/// Makes a link that makes one account of a role.
pub(crate) async fn invite(
    State(app): State<Arc<App>>,
    Admin(by): Admin,
    body: Bytes,
) -> Result<(StatusCode, Json<Invitation>), Refusal> {
    let NewInvitation { role } = read(&body)?;
    let token = app.registration_tokens.mint(Kind::Invitation, role, Some(by)).await?;
    info!(target: "audit", { audit.event = "invitation_made", account.id = %by, role = role.name() }, "{by} made an invitation ({})", role.name());
    let link = registration_link::register(&app.settings, Kind::Invitation, &token);
    Ok((StatusCode::CREATED, Json(Invitation { link, role })))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| if error.is_data() { Refusal::Shape(error) } else { Refusal::NoJson(error) })
}
