//! How many tasks there are of each status and type, as the API answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::name::TypeName;
use crate::task::status::Status;

/// How many tasks there are of each status, and of each type in each status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskCountsResponse {
    /// The number of tasks of each status.
    pub statuses: Vec<StatusCount>,
    /// The number of tasks of each type in each status, by type; types without a counted task are absent.
    pub types: Vec<TypeCount>,
    /// How many tasks are counted at most: so many that have not ended, and so many of those that have ended, in each case the newest.
    pub limit: u32,
}

/// The number of tasks of one status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCount {
    /// The status.
    pub status: Status,
    /// How many tasks were counted.
    pub count: u64,
    /// Whether all tasks of this status were counted; if not, there may be more than `count`.
    pub is_exact: bool,
}

/// The number of tasks of one type in one status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TypeCount {
    /// The type.
    #[serde(rename = "type")]
    pub type_name: TypeName,
    /// The status.
    pub status: Status,
    /// How many tasks were counted.
    pub count: u64,
}
