//! The answer to a cancellation of all tasks that meet conditions.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many tasks a request has cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BulkCancellation {
    /// How many tasks were cancelled.
    pub cancelled: u64,
    /// Whether the request ended before it had looked at every task: repeat it to cancel the others.
    pub has_more: bool,
}
