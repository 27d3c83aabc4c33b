//! The words and the rules of Tasker: what a task is and the only ways in which it may change.

mod chain;
mod figure;
mod id;
mod json;
mod machine;
mod name;
mod operation;
mod page;
mod problem;
mod secret;
mod service;
mod status;
mod task;
mod timestamp;
mod trace;
mod ttl;

pub use chain::chain;
pub use figure::{Figure, Kind};
pub use id::{ClaimId, OwnerId, TaskId};
pub use json::Json;
pub use machine::{Event, Refused, State};
pub use name::{BadName, QueueName, TypeName, WorkerName};
pub use operation::{Isolation, Operation, OperationList, TtlBounds};
pub use page::Page;
pub use problem::{Fault, Problem};
pub use secret::Secret;
pub use service::{
    Ask, Grant, Grants, Heard, Heartbeat, Held, LiveWorker, Report, Reported, Reports, Settled, Wanted,
    WorkerList,
};
pub use status::{Reason, Status};
pub use task::{Attempt, Counts, Submission, Summary, Task, TaskList, TaskResult};
pub use timestamp::Timestamp;
pub use trace::{BadTrace, Trace};
pub use ttl::{BadTtl, Ttl};
