//! Authorization of the administrators' API: a bearer token whose account is an administrator now.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;
use web::bearer::{self, Challenge};
use web::request_log::CallerId;

use crate::admin_api::problem::ApiError;
use crate::app::App;
use crate::role::Role;
use crate::tokens::access_token::{self, Bearer};
use crate::tokens::scope::AUDIENCE;

/// The account id of the administrator who sends the request. The role is read from the database: the one in the token may be
/// out of date by the token's lifetime.
pub(crate) struct Admin(pub(crate) Uuid);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer::token(&parts.headers)?;
        let bearer = access_token::authenticate(app, token).await?;
        let Bearer { claims, account } = bearer
            .filter(|bearer| bearer.claims.aud == AUDIENCE)
            .ok_or(ApiError::Challenge(Challenge::TokenInvalid))?;
        CallerId::set(&parts.extensions, claims.sub);
        let admin = account.filter(|account| account.role == Role::Admin);
        admin.map(|admin| Self(admin.id)).ok_or(ApiError::NotAdmin)
    }
}
