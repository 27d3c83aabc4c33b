//! Tasks, catalogue and workers at rest: PostgreSQL and SQLite behind one set of verbs.
//!
//! Each verb is one atomic step over arrays of tasks: a statement on PostgreSQL, a transaction on SQLite, with its
//! guard (status, fence, time) inside. Its two texts stand beside each other in one file.

mod cancel;
mod catalogue;
mod claim;
mod clock;
mod db;
mod error;
mod floor;
mod health;
mod hear;
mod lost;
mod migrate;
mod prune;
mod pull;
mod read;
mod same;
mod settle;
mod sqlite;
mod store;
mod submit;
mod sweep;
mod workers;

pub use catalogue::RegisterError;
pub use claim::{Granted, IdClaim};
pub use clock::Clock;
pub use db::{Db, Pools};
pub use error::{Cause, StoreError};
pub use health::{Depth, Health, Table};
pub use hear::{Ear, News, Speaker};
pub use migrate::{Migration, Part};
pub use pull::{Pulled, Puller};
pub use read::Ending;
pub use store::{Ended, Ready, Store, TASKS};
pub use sweep::SWEEP;
