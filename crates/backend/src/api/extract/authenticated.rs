//! The authenticated caller of a request, and the roles that a route requires.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{OwnerId, SubjectId};
use store::Registrant;
use tokio::time::Instant;
use web::bearer::{self, BearerError};
use web::request_log::CallerId;

use crate::app::AppState;
use crate::auth::caller::Caller;
use crate::error::ApiError;

/// A caller who may submit tasks and see its own: the role User or Admin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserCaller(pub(crate) OwnerId);

/// A caller who may use the workers' part of the API: the role Worker or Admin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerCaller {
    pub(crate) subject: SubjectId,
    pub(crate) is_admin: bool,
    /// When its token expires.
    pub(crate) valid_until: Instant,
}

impl WorkerCaller {
    /// The caller as one who registers operations and removes them.
    pub(crate) fn registrant(self) -> Registrant {
        if self.is_admin { Registrant::Admin(self.subject) } else { Registrant::Subject(self.subject) }
    }
}

impl FromRequestParts<Arc<AppState>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let token = bearer::token(&parts.headers).map_err(|error| match error {
            BearerError::Missing => ApiError::NoToken,
            BearerError::Malformed => ApiError::BadToken,
        })?;
        let caller = app.token_verifier.verify(token).await?;
        CallerId::set(&parts.extensions, caller.subject());
        if caller.has_scope() { Ok(caller) } else { Err(ApiError::NoScope) }
    }
}

impl FromRequestParts<Arc<AppState>> for UserCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let owner = caller.owner().map(Self);
        owner.ok_or_else(|| forbidden(&caller, parts, "the role User or Admin"))
    }
}

impl FromRequestParts<Arc<AppState>> for WorkerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.is_worker() {
            Ok(Self { subject: caller.id(), is_admin: caller.is_admin(), valid_until: caller.valid_until() })
        } else {
            Err(forbidden(&caller, parts, "the role Worker or Admin"))
        }
    }
}

/// The refusal of a caller whose roles do not allow the request, which the audit log records.
fn forbidden(caller: &Caller, parts: &Parts, required: &'static str) -> ApiError {
    let (subject, method, path) = (caller.subject(), &parts.method, parts.uri.path());
    tracing::info!(target: "audit", { audit.event = "role_missing", account.id = subject }, "{subject} may not {method} {path}: it requires {required}");
    ApiError::NoRole(required)
}
