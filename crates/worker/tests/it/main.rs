//! The runtime as a Backend sees it: a real worker against a scripted Backend that speaks the domain's types.

#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod claiming;
mod deadlines;
mod drain;
mod heartbeat;
mod kit;
mod reporting;
mod startup;
