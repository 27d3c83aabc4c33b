//! `/connect/userinfo`: who the bearer of a token is (OpenID Connect Core §5.3).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use database::DatabaseError;
use serde::Serialize;
use tracing::error;
use uuid::Uuid;

use crate::app::App;
use crate::role::Role;
use crate::tokens::access_token;
use crate::tokens::scope::{OPENID, PROFILE};

/// What is told about a person.
#[derive(Serialize)]
pub(crate) struct Person {
    sub: Uuid,
    #[serde(flatten)]
    profile: Option<Profile>,
}

/// What the scope `profile` adds.
#[derive(Serialize)]
struct Profile {
    name: String,
    preferred_username: String,
    roles: Vec<Role>,
}

/// Why nothing is told (RFC 6750 §3.1).
#[derive(Debug)]
pub(crate) enum BearerError {
    /// No token came.
    Missing,
    /// It is no token of ours, or not any more.
    Invalid,
    /// It is not for this.
    Scope,
    Database(DatabaseError),
}

/// `GET` and `POST /connect/userinfo`
pub(crate) async fn userinfo(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Json<Person>, BearerError> {
    let claims = access_token::read(&app, bearer(&headers)?).ok_or(BearerError::Invalid)?;
    let may = |scope| claims.scope.split(' ').any(|granted| granted == scope);
    if !may(OPENID) {
        return Err(BearerError::Scope);
    }
    let id = Uuid::try_parse(&claims.sub).map_err(|_| BearerError::Invalid)?;
    let account = app.accounts.by_id(id).await.map_err(BearerError::Database)?;
    let account = account.filter(|account| !account.is_disabled).ok_or(BearerError::Invalid)?;
    let profile = may(PROFILE).then(|| Profile {
        name: account.name.clone(),
        preferred_username: account.name,
        roles: account.role.claims(),
    });
    Ok(Json(Person { sub: id, profile }))
}

/// The token of the one `Authorization` header.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut sent = headers.get_all(AUTHORIZATION).iter();
    let first = sent.next().ok_or(BearerError::Missing)?;
    if sent.next().is_some() {
        return Err(BearerError::Invalid);
    }
    let (scheme, token) =
        first.to_str().ok().and_then(|text| text.split_once(' ')).ok_or(BearerError::Invalid)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(BearerError::Missing) }
}

impl IntoResponse for BearerError {
    fn into_response(self) -> Response {
        let (status, challenge) = match self {
            Self::Missing => (StatusCode::UNAUTHORIZED, "Bearer"),
            Self::Invalid => (StatusCode::UNAUTHORIZED, r#"Bearer error="invalid_token""#),
            Self::Scope => (StatusCode::FORBIDDEN, r#"Bearer error="insufficient_scope", scope="openid""#),
            Self::Database(cause) => {
                error!(error = &cause as &dyn std::error::Error, "no user information: the database failed");
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
        };
        (status, [(WWW_AUTHENTICATE, challenge)]).into_response()
    }
}
