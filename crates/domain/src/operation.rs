//! An operation as it is registered: its type, version, schemas and limits.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::name::{QueueName, TypeName};
use crate::object_only;
use crate::task::submission_limits::{SubmissionDefaults, SubmissionMaxima};
use crate::task::ttl::Ttl;

object_only!(deserialize and serialize: Operation, TtlBounds);

/// A registered operation. Its highest registered version checks the submissions of its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(examples(json!({"type": "REVERSE", "version": 1, "description": "Reverses a text", "queue": "default",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    "result": {"type": "string"}, "ttl": {"default": 5_000, "max": 60_000}})))]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct Operation {
    /// The type of the tasks that the operation runs.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// The version. A higher one replaces a lower one; the same version with another definition is refused.
    #[serde(default = "first_version")]
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    pub version: u32,
    /// What the operation does, as a sentence for people; at most 1000 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schema(max_length = 1000)]
    pub description: String,
    /// The queue of the operation's tasks. Operations in one queue share a Kafka topic.
    #[serde(default)]
    pub queue: QueueName,
    /// The JSON Schema of the parameters; submissions are checked against it. With that of the result at most 256 KiB. It is answered
    /// as a JSON value: the order of members and the spelling of numbers may differ from what was sent.
    #[schema(value_type = Value)]
    pub parameters: Value,
    /// The JSON Schema of the result. Workers and the Backend check results against it: a task whose result breaks it ends as failed.
    #[schema(value_type = Value)]
    pub result: Value,
    /// The default and the longest time to live of the operation's tasks.
    #[serde(default)]
    pub ttl: TtlBounds,
    /// What a submission has that does not say otherwise.
    #[serde(default, skip_serializing_if = "SubmissionDefaults::is_empty")]
    pub defaults: SubmissionDefaults,
    /// The most that a submission may ask for.
    #[serde(default, skip_serializing_if = "SubmissionMaxima::is_empty")]
    pub maxima: SubmissionMaxima,
    /// How the operation is isolated from the worker, and so how reliably its code is stopped.
    #[serde(default)]
    pub isolation: ExecutionIsolation,
}

const fn first_version() -> u32 {
    1
}

/// Every registered operation, at its highest version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationList {
    /// The operations, ordered by type.
    pub operations: Vec<Operation>,
}

/// An operation's limits for the time to live of its tasks, in milliseconds. The limits in the Backend's settings hold as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(remote = "Self", rename_all = "camelCase", deny_unknown_fields)]
pub struct TtlBounds {
    /// The time to live of a submission that names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Ttl>,
    /// The longest time to live that a submission may name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Ttl>,
}

/// How an operation is isolated from the worker, and so how reliably its code is stopped when its task ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExecutionIsolation {
    /// The operation runs inside the worker's process and is stopped at its next await. The task's outcome is certain; that
    /// the code stops is not, since code without an await runs on.
    #[default]
    Async,
    /// The operation of a worker's own program runs in a process of its own, which is killed with all its descendants when its task ends.
    Process,
    /// Any program runs as a process, which is killed with all its descendants when its task ends.
    Exec,
    /// A request to a URL, whose connection is closed when its task ends. What the server does then is up to the server.
    Http,
}

impl ExecutionIsolation {
    /// Every level.
    pub const ALL: [Self; 4] = [Self::Async, Self::Process, Self::Exec, Self::Http];

    /// Whether the level runs processes under a supervisor, which kills them.
    pub const fn is_supervised(self) -> bool {
        matches!(self, Self::Process | Self::Exec)
    }

    /// The level's name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Process => "process",
            Self::Exec => "exec",
            Self::Http => "http",
        }
    }
}
