//! Tasks, catalogue and workers at rest: PostgreSQL and SQLite behind one set of verbs.
//!
//! Each verb is one atomic step over arrays of tasks: a statement on PostgreSQL, a transaction on SQLite, with its
//! guard (status, fence, time) inside. Its two texts stand beside each other in one file.

mod database_health;
mod operations;
mod peer_notifications;
mod scan_floor;
mod store;
mod tasks;
mod workers;

pub use crate::database_health::{Health, QueueDepth, UnfinishedTableHealth};
pub use crate::operations::catalogue::RegisterError;
pub use crate::peer_notifications::{PeerChannel, PeerId, PeerUpdate};
pub use crate::tasks::claim_by_id::{ClaimById, Granted};
pub use crate::tasks::claim_by_type::{PullRequest, PullResult};
pub use crate::tasks::expire::EXPIRE_BATCH_SIZE;
pub use crate::tasks::queries::Ending;
pub use store::{EndedTask, ReadyTask, Store, TASKS};
