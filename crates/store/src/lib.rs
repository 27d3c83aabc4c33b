//! The database of tasks: tasks, catalogue and workers, on PostgreSQL or SQLite behind one set of methods of [`Store`].
//!
//! Each method is one atomic step over a batch: one statement on PostgreSQL, one transaction on SQLite, with its guard (status,
//! attempt, claim, time) inside. Its two texts stand beside each other in one file.

mod decode;
mod metric_samples;
mod operations;
mod peer_notifications;
mod scan_floor;
mod store;
mod tasks;
mod workers;

pub use crate::metric_samples::{Health, TypeBacklog, UnfinishedTableHealth};
pub use crate::operations::catalogue::RemoveError;
pub use crate::operations::registration::{RegisterError, Registered, Registrant};
pub use crate::peer_notifications::{PeerChannel, PeerId, PeerUpdate};
pub use crate::store::{Store, TASKS};
pub use crate::tasks::claim_by_id::{ClaimById, Granted};
pub use crate::tasks::claim_by_type::PullResult;
pub use crate::tasks::end_attempts::{EndedAttempts, RetriedTask};
pub use crate::tasks::expire::EXPIRE_BATCH_SIZE;
pub use crate::tasks::promote::PROMOTE_BATCH_SIZE;
pub use crate::tasks::queries::Ending;
pub use crate::tasks::rows::{EndedTask, GrantWorker, ReadyTask, StoppedGrant};
pub use crate::tasks::settle::AttributedReport;
pub use crate::tasks::slot_assignment::PullRequest;
pub use crate::workers::{MAX_WORKERS_OF_SUBJECT, NameOwner};
