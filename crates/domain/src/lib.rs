//! The task: its state machine, its rules, and the JSON types of the API. No I/O and no clock.

mod control_characters;
mod host;
mod id;
mod idempotency_key;
pub mod limits;
mod name;
mod object_only;
mod operation;
pub mod problem_types;
mod raw_json;
mod stop_means;
mod task;
mod timestamp;
mod trace_context;
mod wire;

pub use control_characters::is_control_or_invisible;
pub use host::{is_ip_address, is_loopback_host};
pub use id::{ClaimId, InstallationId, InstanceId, OwnerId, SubjectId, TaskId};
pub use idempotency_key::{IdempotencyKey, InvalidIdempotencyKey};
pub use name::{InvalidName, LabelKey, QueueName, ScheduleName, TypeName, WorkerName};
pub use object_only::ObjectOnly;
pub use operation::{ExecutionIsolation, Operation, OperationList, TtlBounds};
pub use problem_types::problem_type::ProblemType;
pub use raw_json::RawJson;
pub use stop_means::StopMeansKind;
pub use task::attempt::Attempt;
pub use task::attempt_budget::AttemptBudget;
pub use task::event::Event;
pub use task::label::{InvalidLabel, Label, LabelValue, Labels};
pub use task::options::TaskOptions;
pub use task::priority::{InvalidPriority, Priority};
pub use task::retry_policy::{BackoffFactor, InvalidFactor, RetryHint, RetryPolicy};
pub use task::state_machine::{InvalidTransition, State};
pub use task::status::{AttemptEnd, Reason, Status};
pub use task::submission::{NotBefore, Submission};
pub use task::submission_limits::{RetryRequest, SubmissionDefaults, SubmissionMaxima};
pub use task::submission_request::{RequestKey, SubmissionRequest};
pub use task::task_counts::TaskCounts;
pub use task::ttl::{InvalidTtl, Ttl};
pub use task::worker_process::WorkerProcess;
pub use timestamp::{InvalidTimestamp, Timestamp};
pub use trace_context::{InvalidTraceContext, TraceContext};
pub use wire::admin_task::{AdminTask, AdminTaskList};
pub use wire::bulk_cancellation::BulkCancellation;
pub use wire::claim::{ClaimRequest, ClaimResponse, ClaimTarget, DeclinedTask, Grant, Pull};
pub use wire::counts::{StatusCount, TaskCountsResponse, TypeCount};
pub use wire::heartbeat::{GrantRef, Heartbeat, HeartbeatResponse, LiveWorker, StoppedGrant, WorkerList};
pub use wire::lossy_string::LossyString;
pub use wire::page_request::{InvalidCursor, InvalidOrder, ListCursor, PageRequest, TaskOrder};
pub use wire::problem::{Fault, Problem};
pub use wire::progress::{Progress, ProgressReport, ProgressReports};
pub use wire::report::{AttemptOutcome, Report, Reports, SettleResult};
pub use wire::schedule::{
    MissedRuns, OverlappingRuns, Schedule, ScheduleError, ScheduleList, ScheduleSummary, ScheduledTask,
    Timing,
};
pub use wire::task::{Task, TaskAttempt, TaskAttemptList, TaskList, TaskResult, TaskSummary};
pub use wire::task_event::{TaskEvent, TaskEventKind};
pub use wire::task_filter::TaskFilter;
