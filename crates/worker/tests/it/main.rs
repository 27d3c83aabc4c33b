//! Tests of the worker as a Backend sees it: a real worker against a scripted Backend.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod blocked_operations;
mod claiming;
mod deadlines;
mod drain;
mod failover;
mod heartbeat;
mod isolated_operations;
mod kafka;
mod kit;
mod operation_updates;
mod progress;
mod reporting;
mod startup;
