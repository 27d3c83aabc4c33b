//! `/connect/userinfo`: who the user of an access token is (OpenID Connect Core, section 5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use serde::Serialize;
use tracing::error;
use uuid::Uuid;

use crate::app::App;
use crate::http::bearer::{self, BearerError};
use crate::role::Role;
use crate::tokens::access_token;
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

/// Why the request is refused (RFC 6750, section 3.1).
#[derive(Debug)]
pub(crate) enum UserInfoError {
    /// There is no bearer token.
    TokenMissing,
    /// The token is malformed, expired or of another issuer, or its account is disabled.
    TokenInvalid,
    /// The token lacks the scope `openid`.
    InsufficientScope,
    /// The database failed.
    Database(DatabaseError),
}

/// `GET` and `POST /connect/userinfo`
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Json<UserInfo>, UserInfoError> {
    let claims = access_token::verify(&app, bearer::token(&headers)?).ok_or(UserInfoError::TokenInvalid)?;
    let has_scope = |scope| claims.scope.split(' ').any(|granted| granted == scope);
    if !has_scope(OPENID) {
        return Err(UserInfoError::InsufficientScope);
    }
    let id = Uuid::try_parse(&claims.sub).map_err(|_| UserInfoError::TokenInvalid)?;
    let account = app.accounts.find_by_id(id).await?;
    let account = account.filter(|account| !account.is_disabled).ok_or(UserInfoError::TokenInvalid)?;
    let profile = has_scope(PROFILE).then(|| Profile {
        name: account.name.clone(),
        preferred_username: account.name,
        roles: account.role.claims(),
    });
    Ok(Json(UserInfo { sub: id, profile }))
}

impl From<BearerError> for UserInfoError {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::Missing => Self::TokenMissing,
            BearerError::Malformed => Self::TokenInvalid,
        }
    }
}

impl From<DatabaseError> for UserInfoError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl IntoResponse for UserInfoError {
    fn into_response(self) -> Response {
        let (status, challenge) = match self {
            Self::TokenMissing => (StatusCode::UNAUTHORIZED, "Bearer"),
            Self::TokenInvalid => (StatusCode::UNAUTHORIZED, r#"Bearer error="invalid_token""#),
            Self::InsufficientScope => {
                (StatusCode::FORBIDDEN, r#"Bearer error="insufficient_scope", scope="openid""#)
            }
            Self::Database(cause) => {
                error!(error = &cause as &dyn std::error::Error, "no user information: the database failed");
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        };
        (status, [(WWW_AUTHENTICATE, challenge)]).into_response()
    }
}
