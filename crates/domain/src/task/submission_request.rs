//! What one request submits, and by what it is recognised when it is repeated.

use uuid::Uuid;

use crate::id::OwnerId;
use crate::task::submission::Submission;

/// The tasks of one request: all of them are accepted, or none is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionRequest {
    /// The tasks, at least one, all of the same owner.
    pub tasks: Vec<Submission>,
    /// What the request is recognised by when it is repeated. `None`: a repeated request makes other tasks.
    pub key: Option<RequestKey>,
}

/// The hashes of a request with an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestKey {
    /// Who sends the request.
    pub owner: OwnerId,
    /// The hash of the owner and of the key.
    pub key_hash: Uuid,
    /// The hash of what is submitted.
    pub content_hash: Uuid,
}
