//! What a task may ask for: an operation, its version, its schemas and its limits.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::name::{QueueName, TypeName};
use crate::task::ttl::Ttl;

/// An operation as the catalogue knows it; its highest registered version validates submissions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// What submitters call it.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// Higher replaces lower; the same version with other schemas is refused.
    #[serde(default = "first")]
    pub version: u32,
    /// The topic that its tasks share with others.
    #[serde(default)]
    pub queue: QueueName,
    /// The JSON Schema of `parameters`.
    #[schema(value_type = Value)]
    pub parameters: Value,
    /// The JSON Schema of `result`.
    #[schema(value_type = Value)]
    pub result: Value,
    /// How long its tasks may live.
    #[serde(default)]
    pub ttl: TtlBounds,
    /// How hard its end is.
    #[serde(default)]
    pub isolation: Isolation,
}

const fn first() -> u32 {
    1
}

/// Every operation that may be asked for, at its highest version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationList {
    /// By name.
    pub operations: Vec<Operation>,
}

/// What an operation says about the life of its tasks, in milliseconds; the installation's own limits hold as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TtlBounds {
    /// Taken when the submitter names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Ttl>,
    /// The longest life that makes sense for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Ttl>,
}

/// How an operation runs, and so how surely its code ends with its task.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Isolation {
    /// Inside the worker: it stops at its next await. The outcome is certain, the end of the code is not.
    #[default]
    Async,
}

impl Isolation {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
        }
    }
}
