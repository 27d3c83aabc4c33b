//! Who may do it: a bearer token of the API, of an account that is an administrator at this moment.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use crate::admin_api::problem::Refusal;
use crate::app::App;
use crate::oauth::bearer;
use crate::role::Role;
use crate::tokens::access_token::{self, AUDIENCE};

/// An administrator's id. What the token says of its role does not count: it may be an hour old.
pub(crate) struct Admin(pub(crate) Uuid);

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refusal> {
        let token = bearer(&parts.headers).map_err(|_| Refusal::NoToken)?;
        let claims = access_token::read(app, token)
            .filter(|claims| claims.aud == AUDIENCE)
            .ok_or(Refusal::BadToken)?;
        // A program's token names no account.
        let id = Uuid::try_parse(&claims.sub).map_err(|_| Refusal::NotAdmin)?;
        let account = app.accounts.by_id(id).await?.filter(|account| !account.is_disabled);
        let account = account.ok_or(Refusal::BadToken)?;
        if account.role == Role::Admin { Ok(Self(id)) } else { Err(Refusal::NotAdmin) }
    }
}
