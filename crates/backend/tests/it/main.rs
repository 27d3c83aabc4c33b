//! The Backend through its HTTP doors, on PostgreSQL and on SQLite: what a user, a worker and an operator meet.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]
#![expect(clippy::needless_pass_by_value, reason = "`json!` reads well where it stands")]

mod issuer;
mod people;
mod proxy;
mod service;

mod addresses;
mod bytes;
mod cancel;
mod catalogue;
mod claim;
mod deadline;
mod edge;
mod hear;
mod heartbeat;
mod isolation;
mod list;
mod openapi;
mod outage;
mod pull;
mod read;
mod report;
mod stop;
mod submit;
mod tokens;
mod upkeep;
mod validation;
