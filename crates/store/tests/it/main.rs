//! One suite, both databases: whatever is said of the store holds on PostgreSQL and on SQLite.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod cancel;
mod cancelled_futures;
mod catalogue;
mod claim;
mod durability;
mod error_classes;
mod expire;
mod json_round_trip;
mod kit;
mod migrate;
mod model_check;
mod peer_notifications;
mod prune;
mod pull;
mod queries;
mod schema;
mod settle;
mod submit;
mod tls;
mod workers;
