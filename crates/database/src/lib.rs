//! PostgreSQL and SQLite beneath every table of Tasker: connection pools, migrations, the clock, and errors.

mod clock;
mod error;
mod migration;
#[doc(hidden)]
pub mod pools;
mod sqlite_batch;

pub use clock::Clock;
pub use error::{DatabaseError, DriverError};
pub use migration::{Migration, SchemaPart};
pub use pools::{Db, PoolOptions, Pools};
pub use sqlite_batch::{TransactionFuture, decode_rows, encode_batch, transaction};
