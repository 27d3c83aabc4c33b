//! The command line.

use anyhow::Result;
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::commands;
use crate::commands::{bench, config};
use crate::config::{Environment, Sources};
use crate::exit_code::Exit;
use crate::services;
use crate::terminal;

/// Runs tasks for a limited time: the result is there within the time to live, or the task is cancelled.
///
/// `tasker up` starts everything on this machine; then, in a second terminal:
///
/// `tasker submit GENERATE_LOGIN --ttl 5s --wait`
#[derive(Debug, Parser)]
#[command(name = "tasker", version, after_help = Exit::table(), max_term_width = 100)]
pub enum Tasker {
    /// Runs everything in one process: Backend, Identity, a worker; SQLite, no broker
    ///
    /// Data stays in the data directory. It prints both addresses, a link that makes the first administrator until
    /// there is one, and `Ready.` when it serves. The client commands with the same data directory act as the account
    /// `local`, which it makes.
    Up(services::all_in_one::Up),
    /// Runs a Backend: the REST API that keeps tasks and hands them to workers
    ///
    /// Any number of them may share a PostgreSQL database. It waits for the database and for Identity.
    Backend(Sources),
    /// Runs an Identity: accounts, their pages, and tokens
    ///
    /// Any number of them may share a database and a key file. It waits for the database. Until there is an
    /// administrator it prints a link that makes the first one.
    Identity(Sources),
    /// Runs a worker with the built-in operations
    ///
    /// Any number of them may run, each with a name of its own. It waits for the Backend and for Identity, and for its
    /// account. Stopped, it lets its tasks finish for `worker.drain_ms` and hands the rest back.
    Worker(Sources),
    /// Brings the tables of tasks and of accounts to this version, and leaves
    ///
    /// The services do it themselves when they start; this is for those who want it done before.
    Migrate(Sources),
    /// Loads a server and measures it; checks at the end that nothing was lost
    #[command(subcommand)]
    Bench(bench::Command),
    /// Looks an installation over: versions, clocks, rights, certificates, keys, room; exit code 1 if something is bad
    Doctor(config::Scope),
    /// Writes, shows and checks settings
    #[command(subcommand)]
    Config(config::Command),
    #[command(flatten)]
    Client(commands::Command),
    /// Prints a script that completes these commands: tasker completions bash
    Completions {
        /// For which shell
        shell: Shell,
    },
}

impl Tasker {
    /// Does what was asked.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        match self {
            Self::Up(up) => Box::pin(up.run(environment)).await,
            Self::Backend(sources) => services::backend::run(&sources, environment).await,
            Self::Identity(sources) => services::identity::run(&sources, environment).await,
            Self::Worker(sources) => services::worker::run(&sources, environment).await,
            Self::Migrate(sources) => services::migrate::run(&sources, environment).await,
            Self::Bench(command) => Box::pin(command.run(environment)).await,
            Self::Doctor(scope) => Box::pin(config::look_over(scope, environment)).await,
            Self::Config(command) => Box::pin(command.run(environment)).await,
            Self::Client(command) => command.run(environment).await,
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "tasker", &mut script);
                terminal::line(String::from_utf8(script)?.trim_end())?;
                Ok(Exit::Done)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Tasker::command().debug_assert();
    }
}
