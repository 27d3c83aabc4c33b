//! Errors that are not of one module: why Identity does not start, and why a request fails on every HTTP surface.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::response::Response;
use database::{DatabaseError, UnavailableCause};
use domain::problem_types::accounts::RATE_LIMITED;
use domain::problem_types::requests::{BUSY, INTERNAL, TIMED_OUT, UNAVAILABLE};
use domain::{Problem, ProblemType};
use web::problem;
use web::request_log::FailureCause;

use crate::accounts::username::InvalidName;
use crate::authentication::password_hashing::HashingQueueFull;
use crate::authentication::rate_limit::RateLimited;
use crate::keys::key_ring::KeyError;
use crate::settings::InvalidSetting;

/// Why Identity does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is invalid.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// The database failed, or its schema is newer than this program.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The signing keys cannot be used.
    #[error(transparent)]
    KeyRing(#[from] KeyError),
}

/// Why an account could not be created or given its password.
#[derive(Debug, thiserror::Error)]
pub enum EnsureError {
    /// The name breaks a rule.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Too many passwords wait to be hashed.
    #[error(transparent)]
    HashingQueueFull(#[from] HashingQueueFull),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

/// Why a request that may be right is not served. Every HTTP surface (pages, OAuth, the administrators' API) answers it in a
/// format of its own, with this status and this `Retry-After`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceFailure {
    /// The bucket of the client's address is empty.
    #[error("too many attempts came from your address: wait a little, then try again")]
    RateLimited {
        /// When the next attempt is allowed, in whole seconds.
        retry_after: Duration,
    },
    /// Too many passwords wait to be hashed.
    #[error("too many passwords are being checked: try again in a moment")]
    Overloaded,
    /// The database does not answer.
    #[error("{0}: try again later")]
    Unavailable(UnavailableCause, #[source] DatabaseError),
    /// The readiness check has failed.
    #[error("requests cannot be served: database of accounts: {0}")]
    NotReady(String),
    /// The time limit is over.
    #[error("the request took too long: try again in a moment")]
    TimedOut,
    /// The database answered with an error, or with a row that makes no sense.
    #[error("an internal error occurred; it has been logged")]
    Internal(#[source] DatabaseError),
    /// A handler panicked.
    #[error("an internal error occurred; it has been logged")]
    Panicked,
}

impl ServiceFailure {
    /// The type of the problem: its status, and its title for pages too.
    pub(crate) const fn problem_type(&self) -> &'static ProblemType {
        match self {
            Self::RateLimited { .. } => &RATE_LIMITED,
            Self::Overloaded => &BUSY,
            Self::Unavailable(..) | Self::NotReady(_) => &UNAVAILABLE,
            Self::TimedOut => &TIMED_OUT,
            Self::Internal(_) | Self::Panicked => &INTERNAL,
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.problem_type().status).expect("the table has statuses of HTTP")
    }

    /// A problem document (RFC 9457) with status and `Retry-After`.
    pub(crate) fn problem_response(&self) -> Response {
        let problem = Problem::new(self.problem_type(), self.to_string());
        self.annotate(problem::response(problem))
    }

    /// Adds `Retry-After` to a response to this failure, and the cause for the request log.
    pub(crate) fn annotate(&self, mut response: Response) -> Response {
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        if let Self::Unavailable(_, cause) | Self::Internal(cause) = self {
            FailureCause::attach(&mut response, cause);
        }
        response
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::RateLimited { retry_after } => Some(retry_after.as_secs()),
            Self::Unavailable(why, _) => Some(why.retry_after().as_secs()),
            Self::Overloaded | Self::NotReady(_) | Self::TimedOut => Some(1),
            Self::Internal(_) | Self::Panicked => None,
        }
    }
}

impl From<DatabaseError> for ServiceFailure {
    fn from(error: DatabaseError) -> Self {
        match error.unavailable_cause() {
            Some(why) => Self::Unavailable(why, error),
            None => Self::Internal(error),
        }
    }
}

impl From<RateLimited> for ServiceFailure {
    fn from(RateLimited { retry_after }: RateLimited) -> Self {
        Self::RateLimited { retry_after }
    }
}

impl From<HashingQueueFull> for ServiceFailure {
    fn from(_: HashingQueueFull) -> Self {
        Self::Overloaded
    }
}
