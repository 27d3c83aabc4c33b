//! Problem details (RFC 9457): the body of every error response.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::task::status::{Reason, Status};

/// Why a request failed (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The kind of problem: `urn:tasker:problem:` followed by a name that never changes.
    #[serde(rename = "type")]
    #[schema(examples("urn:tasker:problem:ttl-zero"))]
    pub kind: String,
    /// The kind of problem in a few words.
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

    /// The prefix of `type`, before the slug.
    pub const PREFIX: &'static str = "urn:tasker:problem:";

    /// A problem of the kind `slug` with the given HTTP status, title and detail.
    pub fn new(status: u16, slug: &str, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("{}{slug}", Self::PREFIX),
            title: title.into(),
            status,
            detail: detail.into(),
            errors: Vec::new(),
            task_status: None,
            reason: None,
        }
    }

    /// The slug of the kind: `type` without [`Problem::PREFIX`].
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(Self::PREFIX).unwrap_or(&self.kind)
    }
}
