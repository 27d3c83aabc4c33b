//! The errors of the API, and the problem document (RFC 9457) that each becomes.

use std::num::NonZeroU32;

use axum::http::StatusCode;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use database::{DatabaseError, Unavailability};
use domain::{Fault, InstallationId, Problem, Reason, Status, Timestamp, WorkerName};
use telemetry::error_chain;
use web::bearer::Challenge;
use web::json_body::{InvalidBody, InvalidJson};
use web::problem;
use web::request_log::FailureCause;

/// The scope that an access token must have.
const SCOPE: &str = "TaskerWebAPI";

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("send a bearer token in the Authorization header")]
    NoToken,
    #[error("the bearer token is malformed, expired, revoked, or not for this service")]
    BadToken,
    #[error("the token lacks the scope TaskerWebAPI")]
    NoScope,
    #[error("this requires {0}")]
    NoRole(&'static str),
    #[error("there is no such task")]
    NoTask,
    #[error("there is no such path")]
    NoRoute,
    #[error("this path does not support the method")]
    NoMethod,
    /// The request cannot be parsed: its body is not JSON, or its path or query is invalid.
    #[error("{0}")]
    Malformed(String),
    /// The body can be parsed and breaks a rule.
    #[error("{}", .faults.iter().map(|fault| fault.detail.as_str()).collect::<Vec<_>>().join("; "))]
    Invalid { slug: &'static str, faults: Vec<Fault> },
    #[error("the parameters are larger than {limit} bytes")]
    ParametersTooLarge { limit: usize },
    #[error(
        "you have {limit} unfinished tasks, as many as an owner may have; try again when some have ended"
    )]
    TooManyUnfinished { limit: NonZeroU32 },
    /// The catalogue has as many operations of the caller as it allows.
    #[error("{0}")]
    TooManyOperations(String),
    #[error(
        "{limit} workers are running under your account or client, as many as may run; a name is free when its worker has stopped"
    )]
    TooManyWorkers { limit: i64 },
    #[error(transparent)]
    Body(#[from] InvalidBody),
    #[error("the task has no result: it is {}", reason.map_or_else(|| status.to_string(), |reason| format!("{status} ({reason})")))]
    NoResult { status: Status, reason: Option<Reason> },
    #[error("the task has already ended as {}", reason.map_or_else(|| status.to_string(), |reason| format!("{status} ({reason})")))]
    Ended { status: Status, reason: Option<Reason> },
    #[error("the task is granted to another worker, or it has ended")]
    NotGranted,
    #[error(
        "another request with this claim id is in progress; repeat the request to get what it is granted"
    )]
    DuplicateClaim,
    #[error("{}", worker_name_taken(name, *since))]
    WorkerNameTaken {
        name: WorkerName,
        /// The first heartbeat of the process that has the name; `None` if the process is another account's or client's.
        since: Option<Timestamp>,
    },
    #[error("there is no such operation")]
    NoOperation,
    /// The operation belongs to another account or client, or to nobody.
    #[error("{0}")]
    ForeignOperation(String),
    /// Tasks of the operation wait.
    #[error("{0}")]
    OperationAwaited(String),
    #[error("{0}")]
    Conflict(String),
    /// The request names another installation than the Backend's.
    #[error("this Backend belongs to another installation, {0}; send the request to a Backend of your own")]
    OtherInstallation(InstallationId),
    #[error("too many requests are in progress; try again shortly")]
    Overloaded,
    #[error("the request took too long")]
    TimedOut,
    /// The database does not serve the request at the moment.
    #[error("{0}; try again later")]
    Unavailable(Unavailability),
    /// The keys of Identity are not known.
    #[error("Identity cannot be reached; try again shortly")]
    NoIdentity,
    /// Parts that requests need are missing, each with its cause.
    #[error("requests cannot be served: {}", .0.join("; "))]
    NotReady(Vec<String>),
    #[error("an internal error occurred; it has been logged")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ApiError {
    /// A body with one fault, at the JSON Pointer `pointer`.
    pub(crate) fn invalid(slug: &'static str, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid { slug, faults: vec![Fault { pointer: pointer.into(), detail: detail.into() }] }
    }

    const fn status_slug_title(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::NoToken => (StatusCode::UNAUTHORIZED, "unauthenticated", "No access token"),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "invalid-token", "Invalid access token"),
            Self::NoScope => (StatusCode::FORBIDDEN, "insufficient-scope", "Insufficient scope"),
            Self::NoRole(_) => (StatusCode::FORBIDDEN, "role-missing", "Role missing"),
            Self::NoTask => (StatusCode::NOT_FOUND, "no-such-task", "No such task"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no-such-address", "No such path"),
            Self::NoMethod => (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed"),
            Self::Malformed(_) => (StatusCode::BAD_REQUEST, "malformed", "Malformed request"),
            Self::Invalid { slug, .. } => (StatusCode::UNPROCESSABLE_ENTITY, slug, "Invalid request"),
            Self::ParametersTooLarge { .. } => {
                (StatusCode::PAYLOAD_TOO_LARGE, "parameters-too-large", "Parameters too large")
            }
            Self::TooManyUnfinished { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-unfinished", "Too many unfinished tasks")
            }
            Self::TooManyOperations(_) => {
                (StatusCode::CONFLICT, "too-many-operations", "Too many operations")
            }
            Self::TooManyWorkers { .. } => {
                (StatusCode::TOO_MANY_REQUESTS, "too-many-workers", "Too many workers")
            }
            Self::Body(InvalidBody::TooLarge) => {
                (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large")
            }
            Self::Body(InvalidBody::NotJson) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type")
            }
            Self::Body(InvalidBody::Unreadable(_)) => {
                (StatusCode::BAD_REQUEST, "malformed", "Malformed request")
            }
            Self::NoResult { .. } => (StatusCode::NOT_FOUND, "no-result", "No result"),
            Self::Ended { .. } => (StatusCode::CONFLICT, "already-ended", "Task already ended"),
            Self::NotGranted => (StatusCode::CONFLICT, "not-granted", "Not granted"),
            Self::DuplicateClaim => (StatusCode::CONFLICT, "duplicate-claim", "Claim in progress"),
            Self::WorkerNameTaken { .. } => {
                (StatusCode::CONFLICT, "worker-name-taken", "Worker's name taken")
            }
            Self::NoOperation => (StatusCode::NOT_FOUND, "no-such-operation", "No such operation"),
            Self::ForeignOperation(_) => (StatusCode::FORBIDDEN, "foreign-operation", "Operation of another"),
            Self::OperationAwaited(_) => (StatusCode::CONFLICT, "operation-awaited", "Tasks wait"),
            Self::Conflict(_) => (StatusCode::CONFLICT, "conflict", "Already exists"),
            Self::OtherInstallation(_) => {
                (StatusCode::MISDIRECTED_REQUEST, "another-installation", "Another installation")
            }
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "busy", "Service overloaded"),
            Self::TimedOut => (StatusCode::SERVICE_UNAVAILABLE, "timed-out", "Request timed out"),
            Self::Unavailable(_) | Self::NoIdentity => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "A dependency is unavailable")
            }
            Self::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not ready"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
        }
    }

    fn problem(&self) -> Problem {
        let (status, slug, title) = self.status_slug_title();
        let mut problem = Problem::new(status.as_u16(), slug, title, self.to_string());
        match self {
            Self::Invalid { faults, .. } => problem.errors.clone_from(faults),
            Self::NoResult { status, reason } | Self::Ended { status, reason } => {
                (problem.task_status, problem.reason) = (Some(*status), *reason);
            }
            _ => {}
        }
        problem
    }

    const fn challenge(&self) -> Option<Challenge> {
        match self {
            Self::NoToken => Some(Challenge::TokenMissing),
            Self::BadToken => Some(Challenge::TokenInvalid),
            Self::NoScope => Some(Challenge::InsufficientScope(SCOPE)),
            _ => None,
        }
    }
}

fn worker_name_taken(name: &WorkerName, since: Option<Timestamp>) -> String {
    match since {
        Some(since) => format!(
            "another process has the worker's name {name}: its heartbeat was received first at {since}; the name is free \
             when that process has stopped or is lost"
        ),
        None => format!("the worker's name {name} belongs to another account or client"),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = problem::response(self.problem());
        if let Some(challenge) = self.challenge() {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge.header());
        }
        if let Self::Unavailable(why) = &self {
            response.headers_mut().insert(RETRY_AFTER, why.retry_after().as_secs().into());
        }
        if let Self::Internal(cause) = &self {
            FailureCause::attach(&mut response, cause.as_ref());
        }
        response
    }
}

impl From<InvalidJson> for ApiError {
    fn from(error: InvalidJson) -> Self {
        match error {
            InvalidJson::Syntax(_) => Self::Malformed(error.to_string()),
            InvalidJson::Shape(_) => Self::invalid("wrong-shape", "", error.to_string()),
        }
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        if let Some(why) = error.unavailability() {
            tracing::debug!(error = %error_chain(&error), "the database is unavailable");
            return Self::Unavailable(why);
        }
        if error.is_transaction_rollback() {
            tracing::debug!(error = %error_chain(&error), "a statement conflicted with other transactions at every attempt");
            return Self::Overloaded;
        }
        Self::Internal(Box::new(error))
    }
}
