//! PostgreSQL and SQLite below every table of ours: connection pools, migrations, the clock, and what can go wrong.

mod clock;
mod error;
mod migration;
mod pools;
mod sqlite_batch;

pub use clock::Clock;
pub use error::{Cause, DatabaseError};
pub use migration::{Migration, SchemaPart};
pub use pools::{Db, Pools};
pub use sqlite_batch::{Work, batch, rows, transaction};
