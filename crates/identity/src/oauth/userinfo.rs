//! `/connect/userinfo`: who the user of an access token is (OpenID Connect Core, section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;
use web::bearer::{self, Challenge};
use web::request_log::CallerId;

use crate::api::problem::ApiError;
use crate::app::App;
use crate::role::Role;
use crate::scope::Scope;
use crate::tokens::access_token::{self, Bearer};

/// Claims about the user of a token. All but `sub` need the scope `profile`.
#[derive(Serialize, ToSchema)]
pub(crate) struct UserInfo {
    /// The account's id, which never changes and is never another's.
    sub: Uuid,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<String>,
    /// The account's roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<Role>>,
}

/// Read the account of a token
///
/// The account of the token, which needs the scope `openid` (OpenID Connect Core 1.0, section 5.3).
#[utoipa::path(get, path = "/connect/userinfo", operation_id = "getUserInfo", tag = "Tokens",
    security(("bearer" = ["User"]), ("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    responses((status = 200, body = UserInfo, description = "The account")))]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Json<UserInfo>, ApiError> {
    user_info(&app, &headers, &extensions).await
}

/// Read the account of a token, by POST
///
/// The same as GET: a provider of OpenID Connect supports both.
#[utoipa::path(post, path = "/connect/userinfo", operation_id = "postUserInfo", tag = "Tokens",
    security(("bearer" = ["User"]), ("bearer" = ["Worker"]), ("bearer" = ["Admin"])),
    responses((status = 200, body = UserInfo, description = "The account")))]
pub(crate) async fn show_by_post(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Json<UserInfo>, ApiError> {
    user_info(&app, &headers, &extensions).await
}

async fn user_info(
    app: &App,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Json<UserInfo>, ApiError> {
    let invalid = || ApiError::Challenge(Challenge::TokenInvalid);
    let bearer = access_token::authenticate(app, bearer::token(headers)?).await?;
    let Bearer { claims, account } = bearer.ok_or_else(invalid)?;
    CallerId::set(extensions, claims.sub.clone());
    let has_scope = |scope: Scope| claims.scope.split(' ').any(|granted| granted == scope.name());
    if !has_scope(Scope::OpenId) {
        return Err(ApiError::Challenge(Challenge::InsufficientScope(Scope::OpenId.name())));
    }
    let account = account.ok_or_else(invalid)?;
    let profile = Some(&account).filter(|_| has_scope(Scope::Profile));
    let name = profile.map(|account| account.name.clone());
    let roles = profile.map(|account| account.role.claims());
    Ok(Json(UserInfo { sub: account.id, preferred_username: name.clone(), name, roles }))
}
