//! PostgreSQL and SQLite beneath every table of Tasker: connection pools, migrations, the clock, and errors.

mod clock;
mod error;
mod migration;
#[doc(hidden)]
pub mod pools;
mod sqlite_batch;

pub use clock::Clock;
pub use error::{Cause, DatabaseError};
pub use migration::{Migration, SchemaPart};
pub use pools::{Db, PoolOptions, Pools};
pub use sqlite_batch::{Work, batch, rows, transaction};
