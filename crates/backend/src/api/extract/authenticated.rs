//! The authenticated caller of a request, and the roles that a route requires.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use domain::{InstallationId, OwnerId, SubjectId};
use store::Registrant;
use tokio::time::Instant;
use web::bearer::{self, BearerError};
use web::request_log::CallerId;

use crate::app::AppState;
use crate::auth::caller::Caller;
use crate::error::ApiError;

/// The header by which a worker that has several Backends says of which installation they are.
const INSTALLATION_HEADER: &str = "Tasker-Installation";

/// A caller who may submit tasks and see its own: the role User or Admin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UserCaller(pub(crate) OwnerId);

/// A caller who may use the workers' part of the API: the role Worker or Admin. A request that is for another installation than the
/// Backend's is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkerCaller {
    pub(crate) subject: SubjectId,
    pub(crate) is_admin: bool,
    /// When its token expires.
    pub(crate) valid_until: Instant,
}

/// A caller who may see and cancel the tasks of all owners: the role Admin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AdminCaller(pub(crate) SubjectId);

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
        app.rate_limit.take(caller.id(), &parts.extensions)?;
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

impl FromRequestParts<Arc<AppState>> for AdminCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        if caller.is_admin() {
            Ok(Self(caller.id()))
        } else {
            Err(forbidden(&caller, parts, "the role Admin"))
        }
    }
}

impl FromRequestParts<Arc<AppState>> for WorkerCaller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        check_installation(parts, app.installation)?;
        if caller.is_worker() {
            Ok(Self { subject: caller.id(), is_admin: caller.is_admin(), valid_until: caller.valid_until() })
        } else {
            Err(forbidden(&caller, parts, "the role Worker or Admin"))
        }
    }
}

/// Refuses a request (421, RFC 9110, section 15.5.20) that names another installation: a worker whose list of Backends has a wrong
/// address would claim tasks here and report them elsewhere.
fn check_installation(parts: &Parts, installation: InstallationId) -> Result<(), ApiError> {
    let Some(named) = parts.headers.get(INSTALLATION_HEADER) else { return Ok(()) };
    let named = named.to_str().ok().and_then(|named| named.parse::<InstallationId>().ok());
    let rule = || ApiError::Malformed(format!("{INSTALLATION_HEADER}: an installation's id is a UUID"));
    if named.ok_or_else(rule)? == installation {
        Ok(())
    } else {
        Err(ApiError::OtherInstallation(installation))
    }
}

/// The refusal of a caller whose roles do not allow the request, which the audit log records.
fn forbidden(caller: &Caller, parts: &Parts, required: &'static str) -> ApiError {
    let (subject, method, path) = (caller.subject(), &parts.method, parts.uri.path());
    tracing::info!(target: "audit", { audit.event = "role_missing", account.id = subject }, "{subject} may not {method} {path}: it requires {required}");
    ApiError::NoRole(required)
}
