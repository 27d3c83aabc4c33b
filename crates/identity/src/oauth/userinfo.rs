//! `/connect/userinfo`: who the user of an access token is (OpenID Connect Core, section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{Extensions, HeaderMap};
use serde::Serialize;
use uuid::Uuid;
use web::bearer::{self, Challenge};
use web::request_log::CallerId;

use crate::admin_api::problem::ApiError;
use crate::app::App;
use crate::role::Role;
use crate::tokens::access_token::{self, Bearer};
use crate::tokens::scope::{OPENID, PROFILE};

/// The response: claims about the user.
#[derive(Serialize)]
pub(crate) struct UserInfo {
    sub: Uuid,
    #[serde(flatten)]
    profile: Option<Profile>,
}

/// The claims that the scope `profile` adds.
#[derive(Serialize)]
struct Profile {
    name: String,
    preferred_username: String,
    roles: Vec<Role>,
}

/// `GET` and `POST /connect/userinfo`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Json<UserInfo>, ApiError> {
    let invalid = || ApiError::Challenge(Challenge::TokenInvalid);
    let bearer = access_token::authenticate(&app, bearer::token(&headers)?).await?;
    let Bearer { claims, account } = bearer.ok_or_else(invalid)?;
    CallerId::set(&extensions, claims.sub.clone());
    let has_scope = |scope| claims.scope.split(' ').any(|granted| granted == scope);
    if !has_scope(OPENID) {
        return Err(ApiError::Challenge(Challenge::InsufficientScope(OPENID)));
    }
    let account = account.ok_or_else(invalid)?;
    let profile = has_scope(PROFILE).then(|| Profile {
        name: account.name.clone(),
        preferred_username: account.name.clone(),
        roles: account.role.claims(),
    });
    Ok(Json(UserInfo { sub: account.id, profile }))
}
