//! Authorization of the API: the account of a bearer token, as it is now, and what it may do.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use web::bearer::{self, Challenge};
use web::request_log::CallerId;

use crate::accounts::account_store::Account;
use crate::accounts::acting_admin::{ActingAdmin, Unchanged};
use crate::accounts::username::UserName;
use crate::api::problem::ApiError;
use crate::app::App;
use crate::role::Role;
use crate::scope::AUDIENCE;
use crate::tokens::access_token::{self, Bearer};

/// Who sends the request. The role is read from the database: the one in the token may be out of date by the token's lifetime.
pub(crate) struct Caller {
    /// `None` for a client's own token.
    account: Option<Account>,
}

impl Caller {
    /// Whether the caller is an administrator.
    pub(crate) fn is_admin(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.role == Role::Admin)
    }

    /// The caller's account if it has this name.
    pub(crate) fn own_account(&self, name: &UserName) -> Option<&Account> {
        self.account.as_ref().filter(|account| account.name.eq_ignore_ascii_case(name.as_str()))
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let token = bearer::token(&parts.headers)?;
        let bearer = access_token::authenticate(app, token).await?;
        let Bearer { claims, account } = bearer
            .filter(|bearer| bearer.claims.aud == AUDIENCE)
            .ok_or(ApiError::Challenge(Challenge::TokenInvalid))?;
        CallerId::set(&parts.extensions, claims.sub);
        Ok(Self { account })
    }
}

/// The administrator who sends the request. What the request changes is changed on behalf of this value, which is checked again then.
pub(crate) struct Admin(pub(crate) ActingAdmin);

/// The error of a request that changes nothing, since its administrator was demoted, disabled, deleted or given another password after
/// its head had arrived: each of them revokes the token.
pub(crate) const REVOKED_MEANWHILE: ApiError = ApiError::Challenge(Challenge::TokenInvalid);

impl From<Unchanged> for ApiError {
    fn from(why: Unchanged) -> Self {
        match why {
            Unchanged::LastAdmin => Self::LastAdmin,
            Unchanged::NotAdmin => REVOKED_MEANWHILE,
            Unchanged::NotFound => Self::NotFound,
        }
    }
}

impl FromRequestParts<Arc<App>> for Admin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let Caller { account } = Caller::from_request_parts(parts, app).await?;
        account.as_ref().and_then(Account::acting_admin).map(Self).ok_or(ApiError::NotAdmin)
    }
}

/// The name of the account in the path. No account has a name that is not valid.
pub(crate) struct NamePath(pub(crate) UserName);

impl<S: Send + Sync> FromRequestParts<S> for NamePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = path.map_err(|_| ApiError::NotFound)?;
        UserName::parse(&name).map(Self).map_err(|_| ApiError::NotFound)
    }
}
