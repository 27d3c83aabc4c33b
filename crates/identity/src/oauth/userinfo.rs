//! `/connect/userinfo`: who the user of an access token is (OpenID Connect Core, section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use uuid::Uuid;
use web::bearer::{self, BearerError, Challenge};
use web::request_log::CallerId;

use crate::app::App;
use crate::error::ServiceFailure;
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

/// Why the request is refused or failed.
#[derive(Debug)]
pub(crate) enum UserInfoError {
    /// The token is missing, invalid, or lacks the scope `openid`; the challenge says which (RFC 6750, section 3).
    Challenge(Challenge),
    /// The account cannot be read.
    Service(ServiceFailure),
}

/// `GET` and `POST /connect/userinfo`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Json<UserInfo>, UserInfoError> {
    let invalid = || UserInfoError::Challenge(Challenge::TokenInvalid);
    let bearer = access_token::authenticate(&app, bearer::token(&headers)?).await?;
    let Bearer { claims, account } = bearer.ok_or_else(invalid)?;
    CallerId::set(&extensions, claims.sub.clone());
    let has_scope = |scope| claims.scope.split(' ').any(|granted| granted == scope);
    if !has_scope(OPENID) {
        return Err(UserInfoError::Challenge(Challenge::InsufficientScope(OPENID)));
    }
    let account = account.ok_or_else(invalid)?;
    let profile = has_scope(PROFILE).then(|| Profile {
        name: account.name.clone(),
        preferred_username: account.name.clone(),
        roles: account.role.claims(),
    });
    Ok(Json(UserInfo { sub: account.id, profile }))
}

impl From<BearerError> for UserInfoError {
    fn from(error: BearerError) -> Self {
        Self::Challenge(error.into())
    }
}

impl<E: Into<ServiceFailure>> From<E> for UserInfoError {
    fn from(error: E) -> Self {
        Self::Service(error.into())
    }
}

impl IntoResponse for UserInfoError {
    fn into_response(self) -> Response {
        let challenge = match self {
            Self::Challenge(challenge) => challenge,
            Self::Service(failure) => return failure.problem_response(),
        };
        let status = match challenge {
            Challenge::TokenMissing | Challenge::TokenInvalid => StatusCode::UNAUTHORIZED,
            Challenge::InsufficientScope(_) => StatusCode::FORBIDDEN,
        };
        (status, [(WWW_AUTHENTICATE, challenge.header())]).into_response()
    }
}
