//! How the worker's own program is started again for a task of an operation of the isolation level `process`.

use std::collections::BTreeMap;

use supervisor::Grace;

use crate::output_format::OutputFormat;
use crate::program::program_operation::ProgramOperation;
use crate::sdk::operation::{Operation, ProcessBounds};

/// The first argument of a process that runs an operation; the type follows.
pub(crate) const OPERATION: &str = "__operation";

/// This program, started to run a task of `O`.
pub(crate) fn own_program<O: Operation>() -> ProgramOperation {
    let ProcessBounds { grace, limits } = O::process_bounds();
    ProgramOperation {
        arguments: ["/proc/self/exe", OPERATION, O::TYPE].map(str::to_owned).to_vec(),
        environment: BTreeMap::new(),
        directory: None,
        user: None,
        grace: Grace { duration: grace, is_before_deadline: false },
        limits,
        output: OutputFormat::Lines,
    }
}
