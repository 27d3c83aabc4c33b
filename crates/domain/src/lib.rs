//! The task: its state machine, its rules, and the JSON types of the API. No I/O and no clock.

mod display_control;
mod host;
mod id;
mod json_object;
pub mod limits;
mod name;
mod operation;
mod raw_json;
mod task;
mod timestamp;
mod trace_context;
mod wire;

pub use display_control::is_display_control;
pub use host::{is_ip_address, is_loopback_host};
pub use id::{ClaimId, InstallationId, InstanceId, OwnerId, SubjectId, TaskId};
pub use json_object::ObjectOnly;
pub use name::{InvalidName, QueueName, ScheduleName, TypeName, WorkerName};
pub use operation::{ExecutionIsolation, Operation, OperationList, TtlBounds};
pub use raw_json::RawJson;
pub use task::attempt::Attempt;
pub use task::options::TaskOptions;
pub use task::priority::{InvalidPriority, Priority};
pub use task::retry_policy::{BackoffFactor, InvalidFactor, RetryHint, RetryPolicy};
pub use task::state_machine::{AttemptBudget, Event, InvalidTransition, State};
pub use task::status::{Reason, Status};
pub use task::submission::{NotBefore, Submission};
pub use task::task_counts::TaskCounts;
pub use task::ttl::{InvalidTtl, Ttl};
pub use task::worker_process::WorkerProcess;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use trace_context::{InvalidTraceContext, TraceContext};
pub use wire::claim::{ClaimRequest, ClaimResponse, ClaimTarget, DeclinedTask, Grant, Pull};
pub use wire::error_text::ErrorText;
pub use wire::heartbeat::{GrantRef, Heartbeat, HeartbeatResponse, LiveWorker, WorkerList};
pub use wire::page_request::PageRequest;
pub use wire::problem::{Fault, Problem};
pub use wire::report::{AttemptOutcome, Report, Reports, SettleResult};
pub use wire::schedule::{
    MissedRuns, OverlappingRuns, Schedule, ScheduleError, ScheduleList, ScheduleSummary, ScheduledTask,
    Timing,
};
pub use wire::task::{Task, TaskList, TaskResult, TaskSummary};
pub use wire::task_filter::TaskFilter;
