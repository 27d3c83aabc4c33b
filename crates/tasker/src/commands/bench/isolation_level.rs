//! The isolation levels of operations, as an option.

use clap::ValueEnum;
use serde::Serialize;

/// The isolation level of the operation whose tasks are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum IsolationLevel {
    /// Code in the worker's process
    Async,
    /// Rust code in a process of its own
    Process,
    /// A program
    Exec,
    /// A request to a server
    Http,
}
