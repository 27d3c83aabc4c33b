//! The binary: it parses the command line, runs the command, and leaves with a code that says how that went.

#![expect(
    unreachable_pub,
    reason = "nothing depends on a binary: here `pub` is what a module offers to its siblings"
)]

mod bench;
mod client;
mod command;
mod config;
mod data_dir;
mod exit;
mod log_file;
mod metrics;
mod plaintext;
mod private;
mod roles;
mod serve;
mod settings;
mod show;
mod telemetry;
mod tls;
mod traces;
mod wait;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::command::Tasker;
use crate::config::Environment;
use crate::exit::Exit;

fn main() -> ExitCode {
    let ended = run(Tasker::parse());
    let exit = ended.unwrap_or_else(|error| {
        if show::is_reader_gone(&error) {
            return Exit::Done;
        }
        show::error(&error);
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
