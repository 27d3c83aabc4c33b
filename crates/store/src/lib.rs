//! The database of tasks: tasks, catalogue and workers, on PostgreSQL or SQLite behind one set of methods of [`Store`].
//!
//! Each statement is atomic over its batch, with its guard (status, attempt, claim, time) inside. Some methods run several
//! statements; each of them may be repeated. The PostgreSQL text and the SQLite text of a statement are in the same file.

mod decode;
mod metric_samples;
mod operations;
mod peer_notifications;
mod priorities_in_use;
mod scan_floor;
mod schedules;
mod store;
mod tasks;
mod workers;

pub use crate::metric_samples::{Health, TypeLoad, UnfinishedTableHealth};
pub use crate::operations::catalogue::RemoveError;
pub use crate::operations::registration::{RegisterError, Registered, Registrant};
pub use crate::peer_notifications::{PeerChannel, PeerId, PeerUpdate};
pub use crate::schedules::rows::{ScheduleDefinition, StoredSchedule};
pub use crate::schedules::runs::{RunResult, ScheduleRun};
pub use crate::store::{Store, TASKS_SCHEMA};
pub use crate::tasks::cancel::CANCEL_BATCH_SIZE;
pub use crate::tasks::claim_by_id::{ClaimById, Granted};
pub use crate::tasks::claim_by_type::PullResult;
pub use crate::tasks::complete_parameters::ParameterSources;
pub use crate::tasks::content::TaskContent;
pub use crate::tasks::count::COUNT_LIMIT;
pub use crate::tasks::end_attempts::{EndedAttempts, RetriedTask};
pub use crate::tasks::events::{EventOfOwner, TaskChange};
pub use crate::tasks::expire::EXPIRE_BATCH_SIZE;
pub use crate::tasks::list::Page;
pub use crate::tasks::progress::AttributedProgress;
pub use crate::tasks::promote::PROMOTE_BATCH_SIZE;
pub use crate::tasks::queries::StatusAndResult;
pub use crate::tasks::resolve_dependents::{FreedTask, RESOLVE_BATCH_SIZE, ResolvedDependents};
pub use crate::tasks::rows::{EndedTask, GrantWorker, ReadyTask, StoppedGrant};
pub use crate::tasks::settle::AttributedReport;
pub use crate::tasks::slot_assignment::PullRequest;
pub use crate::tasks::submit_requests::SubmissionOutcome;
pub use crate::workers::{MAX_WORKERS_OF_SUBJECT, NameOwner};
