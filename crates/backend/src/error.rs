//! The errors of the API, and the problem document (RFC 9457) that each becomes.

use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::response::{IntoResponse, Response};
use database::{DatabaseError, UnavailableCause};
use domain::problem_types::{operations, requests, schedules, tasks, workers};
use domain::{Fault, InstallationId, Problem, ProblemType, Reason, Status, Timestamp, WorkerName};
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
    #[error("there is no such schedule")]
    NoSchedule,
    #[error("you have {limit} schedules, as many as an owner may have")]
    TooManySchedules { limit: u32 },
    #[error("there is no such path")]
    NoRoute,
    #[error("this path does not support the method")]
    NoMethod,
    /// The request cannot be parsed: its body is not JSON, or its path or query is invalid.
    #[error("{0}")]
    Malformed(String),
    /// The body can be parsed and breaks a rule.
    #[error("{}", .faults.iter().map(|fault| fault.detail.as_str()).collect::<Vec<_>>().join("; "))]
    Invalid { of: &'static ProblemType, faults: Vec<Fault> },
    #[error("the parameters are larger than {limit} bytes")]
    ParametersTooLarge { limit: usize },
    #[error(
        "you have {limit} unfinished tasks, as many as an owner may have; try again when some have ended"
    )]
    TooManyUnfinished { limit: NonZeroU32 },
    #[error("you may send {per_minute} requests a minute; try again in {} s", whole_seconds(*.wait))]
    TooManyRequests {
        per_minute: NonZeroU32,
        /// The time until the next request is answered.
        wait: Duration,
    },
    #[error(
        "another request was sent with this Idempotency-Key: a key is for one request, which may be repeated unchanged"
    )]
    KeyReused,
    #[error("a request with this Idempotency-Key is being processed; repeat the request to get its answer")]
    SubmissionUnderWay,
    /// The catalogue has as many operations of the caller as it allows.
    #[error("{0}")]
    TooManyOperations(String),
    #[error(
        "{limit} workers are running under your account or client, as many as may run; a name is free when its worker has stopped"
    )]
    TooManyWorkers { limit: i64 },
    #[error("{limit} event streams of your account or client are open, as many as may be; close one first")]
    TooManyEventStreams { limit: usize },
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
    Unavailable(UnavailableCause),
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
    pub(crate) fn invalid(
        of: &'static ProblemType,
        pointer: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self::Invalid { of, faults: vec![Fault { pointer: pointer.into(), detail: detail.into() }] }
    }

    /// The same error of a part of the body, which is at the JSON Pointer `parent`.
    pub(crate) fn below(mut self, parent: &str) -> Self {
        if let Self::Invalid { faults, .. } = &mut self {
            for fault in faults {
                fault.pointer.insert_str(0, parent);
            }
        }
        self
    }

    /// Whether what is submitted is refused, or its owner may submit nothing now. Every other error is the service's.
    pub(crate) const fn is_of_submission(&self) -> bool {
        matches!(
            self,
            Self::Invalid { .. } | Self::ParametersTooLarge { .. } | Self::TooManyUnfinished { .. }
        )
    }

    /// Whether the request is refused for what it asks, and not for how the service is.
    pub(crate) const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Invalid { .. }
                | Self::ParametersTooLarge { .. }
                | Self::TooManyUnfinished { .. }
                | Self::NoTask
        )
    }

    const fn problem_type(&self) -> &'static ProblemType {
        match self {
            Self::NoToken => &requests::UNAUTHENTICATED,
            Self::BadToken => &requests::INVALID_TOKEN,
            Self::NoScope => &requests::INSUFFICIENT_SCOPE,
            Self::NoRole(_) => &requests::ROLE_MISSING,
            Self::NoTask => &tasks::NO_SUCH_TASK,
            Self::NoSchedule => &schedules::NO_SUCH_SCHEDULE,
            Self::TooManySchedules { .. } => &schedules::TOO_MANY_SCHEDULES,
            Self::NoRoute => &requests::NO_SUCH_ADDRESS,
            Self::NoMethod => &requests::METHOD_NOT_ALLOWED,
            Self::Malformed(_) | Self::Body(InvalidBody::Unreadable(_)) => &requests::MALFORMED,
            Self::Invalid { of, .. } => of,
            Self::ParametersTooLarge { .. } => &tasks::PARAMETERS_TOO_LARGE,
            Self::TooManyUnfinished { .. } => &tasks::TOO_MANY_UNFINISHED,
            Self::TooManyRequests { .. } => &requests::TOO_MANY_REQUESTS,
            Self::TooManyEventStreams { .. } => &tasks::TOO_MANY_EVENT_STREAMS,
            Self::KeyReused => &tasks::IDEMPOTENCY_KEY_REUSED,
            Self::SubmissionUnderWay => &tasks::SUBMISSION_UNDER_WAY,
            Self::TooManyOperations(_) => &operations::TOO_MANY_OPERATIONS,
            Self::TooManyWorkers { .. } => &workers::TOO_MANY_WORKERS,
            Self::Body(InvalidBody::TooLarge) => &requests::BODY_TOO_LARGE,
            Self::Body(InvalidBody::NotJson) => &requests::UNSUPPORTED_MEDIA_TYPE,
            Self::NoResult { .. } => &tasks::NO_RESULT,
            Self::Ended { .. } => &tasks::ALREADY_ENDED,
            Self::NotGranted => &workers::NOT_GRANTED,
            Self::DuplicateClaim => &workers::DUPLICATE_CLAIM,
            Self::WorkerNameTaken { .. } => &workers::WORKER_NAME_TAKEN,
            Self::NoOperation => &operations::NO_SUCH_OPERATION,
            Self::ForeignOperation(_) => &operations::FOREIGN_OPERATION,
            Self::OperationAwaited(_) => &operations::OPERATION_AWAITED,
            Self::Conflict(_) => &operations::CONFLICT,
            Self::OtherInstallation(_) => &workers::ANOTHER_INSTALLATION,
            Self::Overloaded => &requests::BUSY,
            Self::TimedOut => &requests::TIMED_OUT,
            Self::Unavailable(_) | Self::NoIdentity | Self::NotReady(_) => &requests::UNAVAILABLE,
            Self::Internal(_) => &requests::INTERNAL,
        }
    }

    fn problem(&self) -> Problem {
        let mut problem = Problem::new(self.problem_type(), self.to_string());
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

    /// When to try again, if it is known better than that it is soon.
    fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::Unavailable(why) => Some(why.retry_after().as_secs()),
            Self::TooManyRequests { wait, .. } => Some(whole_seconds(*wait)),
            Self::SubmissionUnderWay => Some(1),
            _ => None,
        }
    }
}

/// A time in seconds, rounded up: who waits so long has waited long enough.
pub(crate) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
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
        if let Some(seconds) = self.retry_after_seconds() {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
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
            InvalidJson::Shape(_) => Self::invalid(&requests::WRONG_SHAPE, "", error.to_string()),
        }
    }
}

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        if let Some(why) = error.unavailable_cause() {
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
