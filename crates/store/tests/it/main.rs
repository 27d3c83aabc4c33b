//! One suite, both databases: whatever is said of the store holds on PostgreSQL and on SQLite.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod bytes;
mod cancel;
mod catalogue;
mod claim;
mod disk;
mod dropped;
mod error;
mod hear;
mod history;
mod kit;
mod migrate;
mod model;
mod prune;
mod pull;
mod read;
mod rows;
mod schema;
mod settle;
mod submit;
mod sweep;
mod tls;
mod workers;
