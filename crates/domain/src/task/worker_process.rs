//! A process of a worker, by which a grant says who may report it.

use crate::id::{InstanceId, SubjectId};
use crate::name::WorkerName;

/// A process of a worker. A grant is given to a process: only its subject sees the grant or reports it, and another process of
/// the same name does not keep it alive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerProcess {
    /// The name of the worker.
    pub name: WorkerName,
    /// The account or client whose token the process uses.
    pub subject: SubjectId,
    /// The process.
    pub instance: InstanceId,
}
