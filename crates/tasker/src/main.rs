//! The program `tasker`: parses the command line, runs the command and returns its exit code.

#![expect(
    unreachable_pub,
    reason = "no crate depends on a binary: here `pub` is what a module offers to other modules"
)]

mod cli;
mod command_error;
mod commands;
mod config;
mod data_dir;
mod exit_code;
mod file_trust;
mod observability;
mod private_file;
mod process_lock;
mod server;
mod services;
mod terminal;
mod text_file;

use std::process::ExitCode;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::cli::Tasker;
use crate::commands::bench::level_worker::operations_in_processes;
use crate::config::environment::Environment;
use crate::exit_code::Exit;

/// How long blocking calls may delay the end of the process.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    if let Some(exit) = worker::run_process(operations_in_processes) {
        return exit;
    }
    let ended = run(Tasker::from_arguments());
    let exit = ended.unwrap_or_else(|error| {
        if terminal::is_broken_pipe(&error) {
            return Exit::Done;
        }
        terminal::print_error(&error);
        Exit::of(&error)
    });
    exit.into()
}

fn run(command: Tasker) -> anyhow::Result<Exit> {
    let environment = Environment::read()?;
    let runtime = Builder::new_multi_thread().enable_all().thread_name("tasker-runtime").build()?;
    let ended = runtime.block_on(command.run(&environment));
    // Background tasks are dropped, and with them what they hold is cleaned up. Blocking calls that do not end are cut off.
    runtime.shutdown_timeout(SHUTDOWN_TIMEOUT);
    ended
}
