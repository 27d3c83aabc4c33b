//! Tests of the store, each on PostgreSQL and on SQLite where both have the behaviour.

#![expect(clippy::unwrap_used, reason = "a failing test panics")]

mod cancel;
mod cancelled_futures;
mod catalogue;
mod claim_by_id;
mod claim_by_type;
mod durability;
mod error_classes;
mod expire;
mod json_round_trip;
mod kit;
mod migrate;
mod model_check;
mod peer_notifications;
mod people_view;
mod prune;
mod queries;
mod schema;
mod settle;
mod submit;
mod submit_requests;
mod tls;
mod workers;
