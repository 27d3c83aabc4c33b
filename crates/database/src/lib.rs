//! PostgreSQL and SQLite beneath every table of Tasker: connection pools, migrations, the clock, and errors.

mod error;
mod migration;
#[doc(hidden)]
pub mod pools;
mod postgres_url;
mod preconditions;
mod process_clock;
mod session_age;
mod sqlite_batch;
mod unavailability;
mod write_check;

pub use error::{DatabaseError, DriverError};
pub use migration::{Migration, SchemaPart};
pub use pools::{Db, PoolOptions, Pools};
pub use postgres_url::InvalidPostgresUrl;
pub use preconditions::UnmetPrecondition;
pub use process_clock::ProcessClock;
pub use session_age::is_session_outdated;
pub use sqlite_batch::{TransactionFuture, decode_rows, encode_batch, transaction};
pub use unavailability::Unavailability;
pub use write_check::WriteCheck;
