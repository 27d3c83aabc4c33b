//! The process that a task is granted to: only its subject may report the task.

use crate::id::{InstanceId, SubjectId};
use crate::name::WorkerName;

/// A process of a worker. A grant is given to a process: only its subject sees the grant or reports it, and the grant
/// ends when another process takes the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerProcess {
    /// The name of the worker.
    pub name: WorkerName,
    /// The account or client whose token the process uses.
    pub subject: SubjectId,
    /// The id of the process.
    pub instance: InstanceId,
}
