//! The error responses of the API: problem documents (RFC 9457) that name the field and the rule.

use std::error::Error;

use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use domain::problem_types::{accounts, requests};
use domain::{Fault, Problem, ProblemType};
use web::bearer::{BearerError, Challenge};
use web::json_body::{InvalidBody, InvalidJson};
use web::problem;

use crate::error::ServiceFailure;
use crate::password_change::PasswordChangeError;

/// Why a request is refused or failed.
pub(crate) enum ApiError {
    /// The token is missing or invalid, also when it was revoked while the request was served.
    Challenge(Challenge),
    NotAdmin,
    /// Only the account itself may do this.
    NotOwnAccount,
    /// There is nothing at this path.
    NoRoute,
    /// The path does not support the method.
    WrongMethod,
    NotFound,
    NameTaken,
    /// No administrator would be left, and nobody could create one.
    LastAdmin,
    /// The own account was given another password or role while the request was served.
    AccountChanged,
    InvalidQuery,
    /// An update without a value to set.
    EmptyUpdate,
    /// The body cannot be read, or its `Content-Type` is not JSON.
    Body(InvalidBody),
    /// The body cannot be parsed.
    Json(InvalidJson),
    /// A field breaks a rule.
    Field {
        /// The field as a JSON pointer (RFC 6901).
        pointer: &'static str,
        rule: String,
    },
    /// The request may be right, but is not served now.
    Service(ServiceFailure),
}

impl ApiError {
    /// A field at `pointer` that breaks `rule`.
    pub(crate) fn field(pointer: &'static str, rule: &dyn Error) -> Self {
        Self::Field { pointer, rule: rule.to_string() }
    }

    const fn problem_type(&self) -> &'static ProblemType {
        match self {
            Self::Challenge(Challenge::TokenMissing) => &requests::UNAUTHENTICATED,
            Self::Challenge(Challenge::InsufficientScope(_)) => &requests::INSUFFICIENT_SCOPE,
            Self::Challenge(_) => &requests::INVALID_TOKEN,
            Self::NoRoute => &requests::NO_SUCH_ADDRESS,
            Self::WrongMethod => &requests::METHOD_NOT_ALLOWED,
            Self::NotAdmin => &requests::ROLE_MISSING,
            Self::NotOwnAccount => &accounts::NOT_OWN_ACCOUNT,
            Self::NotFound => &accounts::NO_SUCH_USER,
            Self::NameTaken => &accounts::NAME_TAKEN,
            Self::LastAdmin => &accounts::LAST_ADMINISTRATOR,
            Self::AccountChanged => &accounts::ACCOUNT_CHANGED,
            Self::InvalidQuery
            | Self::Json(InvalidJson::Syntax(_))
            | Self::Body(InvalidBody::Unreadable(_)) => &requests::MALFORMED,
            Self::Body(InvalidBody::NotJson) => &requests::UNSUPPORTED_MEDIA_TYPE,
            Self::Body(InvalidBody::TooLarge) => &requests::BODY_TOO_LARGE,
            Self::EmptyUpdate | Self::Json(InvalidJson::Shape(_)) | Self::Field { .. } => &accounts::INVALID,
            Self::Service(failure) => failure.problem_type(),
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::Challenge(Challenge::TokenMissing) => {
                "send a bearer token in the Authorization header".to_owned()
            }
            Self::Challenge(Challenge::InsufficientScope(scope)) => {
                format!("the token lacks the scope {scope}")
            }
            Self::NoRoute => "there is no such path".to_owned(),
            Self::WrongMethod => "this path does not support the method".to_owned(),
            Self::Challenge(_) => "the token is expired, revoked, malformed or of another issuer".to_owned(),
            Self::NotAdmin => "the token must be that of an account with the role Admin".to_owned(),
            Self::NotOwnAccount => {
                "only the account itself can change its password with the current one; an administrator resets it".to_owned()
            }
            Self::NotFound => "there is no account with this name".to_owned(),
            Self::NameTaken => "there is already an account with this name".to_owned(),
            Self::LastAdmin => {
                "this is the last administrator: give another account the role first".to_owned()
            }
            Self::AccountChanged => PasswordChangeError::Changed.to_string(),
            Self::InvalidQuery => "limit must be 1 to 1000, and after must be a name".to_owned(),
            Self::EmptyUpdate => "set role, disabled, or both".to_owned(),
            Self::Body(error) => error.to_string(),
            Self::Json(error) => error.to_string(),
            Self::Field { rule, .. } => rule.clone(),
            Self::Service(failure) => failure.to_string(),
        }
    }

    /// Where in the body the fault is, as a JSON pointer; the empty pointer is the whole body.
    fn pointer(&self) -> Option<&'static str> {
        match self {
            Self::Field { pointer, .. } => Some(pointer),
            Self::EmptyUpdate | Self::Json(InvalidJson::Shape(_)) => Some(""),
            _ => None,
        }
    }
}

impl From<BearerError> for ApiError {
    fn from(error: BearerError) -> Self {
        Self::Challenge(error.into())
    }
}

impl From<InvalidBody> for ApiError {
    fn from(error: InvalidBody) -> Self {
        Self::Body(error)
    }
}

impl From<InvalidJson> for ApiError {
    fn from(error: InvalidJson) -> Self {
        Self::Json(error)
    }
}

impl<E: Into<ServiceFailure>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self::Service(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = self.detail();
        let mut problem = Problem::new(self.problem_type(), detail.clone());
        let fault = self.pointer().map(|pointer| Fault { pointer: pointer.to_owned(), detail });
        problem.errors.extend(fault);
        let mut response = problem::response(problem);
        match self {
            Self::Challenge(challenge) => {
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge.header());
                response
            }
            Self::Service(failure) => failure.annotate(response),
            _ => response,
        }
    }
}
