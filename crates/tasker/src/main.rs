//! The binary: it parses the command line, runs the command, and leaves with a code that says how that went.

#![expect(
    unreachable_pub,
    reason = "nothing depends on a binary: here `pub` is what a module offers to its siblings"
)]

mod cli;
mod commands;
mod config;
mod data_dir;
mod exit_code;
mod observability;
mod private_file;
mod server;
mod services;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::cli::Tasker;
use crate::config::Environment;
use crate::exit_code::Exit;

fn main() -> ExitCode {
    let ended = run(Tasker::parse());
    let exit = ended.unwrap_or_else(|error| {
        if terminal::is_reader_gone(&error) {
            return Exit::Done;
        }
        terminal::error(&error);
        Exit::of(&error)
    });
    exit.into()
}

fn run(command: Tasker) -> anyhow::Result<Exit> {
    let environment = Environment::read()?;
    let runtime = Runtime::new()?;
    let ended = runtime.block_on(command.run(&environment));
    // Whatever still runs has had its time.
    runtime.shutdown_background();
    ended
}
