//! RFC 9457 as plain data: the client reads what the Backend writes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::task::status::{Reason, Status};

/// What went wrong with a request, for programs and for people (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Which kind of problem: `urn:tasker:problem:` and a slug that never changes.
    #[serde(rename = "type")]
    #[schema(examples("urn:tasker:problem:ttl-zero"))]
    pub kind: String,
    /// The kind in a few words.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What happened this time, as a sentence.
    pub detail: String,
    /// Each fault of the request's body and where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Fault>,
    /// The task's status, where the task stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_status: Option<Status>,
    /// Why that task was cancelled, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// One fault of a request's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Where, as a JSON Pointer (RFC 6901) into the body.
    #[schema(examples("/parameters/length"))]
    pub pointer: String,
    /// Which rule it breaks, as a sentence.
    pub detail: String,
}

impl Problem {
    /// The media type.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// What stands before the slug in `type`.
    pub const PREFIX: &'static str = "urn:tasker:problem:";

    /// A problem of the kind `slug`.
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

    /// The kind's slug.
    pub fn slug(&self) -> &str {
        self.kind.strip_prefix(Self::PREFIX).unwrap_or(&self.kind)
    }
}
