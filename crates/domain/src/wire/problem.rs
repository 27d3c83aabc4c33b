//! Problem details (RFC 9457): the body of every error response.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem_types::problem_type::ProblemType;
use crate::problem_types::tasks::{ALREADY_ENDED, NO_RESULT};
use crate::task::status::{Reason, Status};

/// Why a request failed (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The type of the problem: the path of the page that explains it, `/errors/` followed by a name that never changes. It is relative
    /// to the service that answers.
    #[serde(rename = "type")]
    #[schema(examples("/errors/ttl-zero"))]
    pub kind: String,
    /// The type of the problem in a few words.
    pub title: String,
    /// The HTTP status code.
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// Why this request failed, as a sentence.
    pub detail: String,
    /// The errors in the request's body, each with its position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// The status of the task, if that status is why the request failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_status: Option<Status>,
    /// Why that task was cancelled, if it was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// An error in a request's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// The position of the error: a JSON Pointer (RFC 6901) into the body.
    #[schema(examples("/parameters/length"))]
    pub pointer: String,
    /// The rule that is broken, as a sentence.
    pub detail: String,
}

impl Problem {
    /// The media type of a problem (RFC 9457, 6.1).
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// The prefix of `type`, before the slug: a whole path, as RFC 9457 (section 3.1.1) wants of a relative reference. A service cannot
    /// know all the addresses under which it is reached, and programs compare `type` with one text.
    pub const PREFIX: &'static str = "/errors/";

    /// A problem of a type of the table.
    pub fn new(of: &ProblemType, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{}{}", Self::PREFIX, of.slug),
            title: of.title.to_owned(),
            status: of.status,
            detail: detail.into(),
            errors: Vec::new(),
            task_status: None,
            reason: None,
        }
    }

    /// A problem of this type as it may occur, for documents.
    pub fn example(of: &ProblemType) -> Self {
        let fault = |pointer: &str| Fault { pointer: pointer.to_owned(), detail: of.detail.to_owned() };
        let task_status = match of {
            of if *of == NO_RESULT => Some(Status::Running),
            of if *of == ALREADY_ENDED => Some(Status::Finished),
            _ => None,
        };
        Self { errors: of.pointer.map(fault).into_iter().collect(), task_status, ..Self::new(of, of.detail) }
    }

    /// Whether it is a problem of this type.
    pub fn is(&self, of: &ProblemType) -> bool {
        self.slug() == of.slug
    }

    /// The slug of the type: `type` without [`Problem::PREFIX`].
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(Self::PREFIX).unwrap_or(&self.kind)
    }
}
