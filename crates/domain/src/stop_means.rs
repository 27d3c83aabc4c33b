//! The means by which a worker kills the processes of programs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A means by which all processes of a program are found and killed. A worker uses all that its host allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum StopMeansKind {
    /// A control group (version 2) of each attempt, all of whose processes are killed at once.
    Cgroup,
    /// A PID namespace of each attempt: the kernel kills all its processes when the first of them ends.
    Namespace,
    /// Orphans are adopted, and descendants are killed until none is left.
    Subreaper,
}

impl StopMeansKind {
    /// The name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Namespace => "namespace",
            Self::Subreaper => "subreaper",
        }
    }
}
