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
use crate::tokens::access_token;
use crate::tokens::scope::AUDIENCE;

/// The account id of the administrator who sends the request. The role is read from the database: the one in the token may be
/// out of date by the token's lifetime.
pub(crate) struct Admin(pub(crate) Uuid);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer::token(&parts.headers).map_err(|error| ApiError::Challenge(error.into()))?;
        let claims = access_token::verify(app, token)
            .filter(|claims| claims.aud == AUDIENCE)
            .ok_or(ApiError::Challenge(Challenge::TokenInvalid))?;
        CallerId::set(&parts.extensions, claims.sub.clone());
        // The `sub` of a client's own token is no account id.
        let id = Uuid::try_parse(&claims.sub).map_err(|_| ApiError::NotAdmin)?;
        let account = app.accounts.find_by_id(id).await?.filter(|account| !account.is_disabled);
        let account = account.ok_or(ApiError::Challenge(Challenge::TokenInvalid))?;
        if account.role == Role::Admin { Ok(Self(id)) } else { Err(ApiError::NotAdmin) }
    }
}
