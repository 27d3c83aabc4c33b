//! PostgreSQL and SQLite beneath every table of Tasker: connection pools, migrations, the clock, and errors.

mod error;
mod migration;
#[doc(hidden)]
pub mod pools;
mod postgres_url;
mod preconditions;
mod process_clock;
mod read_only_failover;
mod sqlite_batch;
mod unavailable_cause;
mod write_check;

pub use error::{DatabaseError, DriverError};
pub use migration::{Migration, SchemaPart};
pub use pools::{Db, PoolOptions, Pools};
pub use postgres_url::InvalidPostgresUrl;
pub use preconditions::UnmetPrecondition;
pub use process_clock::ProcessClock;
pub use read_only_failover::may_lead_to_standby;
pub use sqlite_batch::{TransactionFuture, decode_rows, encode_batch, transaction};
pub use unavailable_cause::UnavailableCause;
pub use write_check::WriteCheck;
