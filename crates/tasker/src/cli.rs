//! The command line: all subcommands of `tasker`.

use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use crate::commands;
use crate::commands::doctor::Doctor;
use crate::commands::healthcheck::HealthCheck;
use crate::commands::{bench, config, doctor};
use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::unknown_variables;
use crate::exit_code::Exit;
use crate::services;
use crate::services::all_in_one::Up;
use crate::terminal;

/// Task queue: a task has its result within its time to live, or it is cancelled.
///
/// `tasker up` starts everything on this machine; then, in a second terminal:
///
/// `tasker submit GENERATE_LOGIN --ttl 5s --wait`
#[derive(Debug, Parser)]
#[command(name = "tasker", version, after_help = Exit::table(), max_term_width = 100)]
pub enum Tasker {
    /// Runs everything in one process: Backend, Identity, a worker; SQLite, no broker
    ///
    /// All data is in the data directory. The command prints both addresses, a link to create the first administrator as
    /// long as there is none, and `Ready.` when it serves. Client commands with the same data directory act as the account
    /// `local`, which this command creates.
    Up(Up),
    /// Runs a Backend: the REST API that stores tasks and grants them to workers
    ///
    /// Any number of Backends may share a PostgreSQL database. A Backend waits until the database and Identity answer.
    Backend(Sources),
    /// Runs an Identity: accounts, their pages, and access tokens
    ///
    /// Any number of Identities may share a database and a key file. An Identity waits until the database answers. As long
    /// as there is no administrator it prints a link to create the first one.
    Identity(Sources),
    /// Runs a worker with the built-in operations
    ///
    /// Any number of workers may run, each with its own name. A worker waits until the Backend and Identity answer and its
    /// account exists. When it is stopped, it lets its tasks finish for `worker.drain_ms` and releases the others.
    Worker(Sources),
    /// Migrates the databases of tasks and of accounts to this version, and exits
    ///
    /// The services migrate when they start; this command does it before.
    Migrate(Sources),
    /// Puts load on a server, measures it, and checks at the end that no task was lost
    #[command(subcommand)]
    Bench(bench::Command),
    /// Checks an installation: versions, clocks, permissions, certificates, keys, disk space; exit code 1 if something is bad
    ///
    /// Looks at the `tasker up` of a data directory, or at the services that the settings name.
    Doctor(Doctor),
    /// Asks the service that runs on this machine with the same settings whether it is healthy; exit code 0 if it is
    ///
    /// For the health checks of containers. It asks the listener that the settings name, with TLS if they name a certificate.
    Healthcheck(HealthCheck),
    /// Writes, shows and checks settings
    #[command(subcommand)]
    Config(config::Command),
    #[command(flatten)]
    Client(commands::Command),
    /// Prints a completion script for a shell: tasker completions bash
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// The subcommands that end or remove something: never suggested in the place of one that does not exist.
const NEVER_SUGGESTED: [&str; 5] = ["cancel", "delete", "disable", "logout", "reset"];

impl Tasker {
    /// The command that the arguments of this process name. If they name none, prints why and exits.
    pub fn from_arguments() -> Self {
        Self::try_parse().unwrap_or_else(|mut error| {
            let suggested = error.remove(ContextKind::SuggestedSubcommand);
            if let Some(ContextValue::Strings(mut names)) = suggested {
                names.retain(|name| !NEVER_SUGGESTED.contains(&name.as_str()));
                if !names.is_empty() {
                    error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(names));
                }
            }
            error.exit()
        })
    }

    /// Whether the command is a service, which writes to its log what other commands print on standard error.
    fn is_service(&self) -> bool {
        matches!(self, Self::Up(_) | Self::Backend(_) | Self::Identity(_) | Self::Worker(_))
    }

    /// Runs the command.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        if !self.is_service() {
            for sentence in unknown_variables::about_those_of_people(environment) {
                terminal::print_note(&sentence);
            }
        }
        match self {
            Self::Up(up) => Box::pin(up.run(environment)).await,
            Self::Backend(sources) => services::backend::run(&sources, environment).await,
            Self::Identity(sources) => services::identity::run(&sources, environment).await,
            Self::Worker(sources) => services::worker::run(&sources, environment).await,
            Self::Migrate(sources) => services::migrate::run(&sources, environment).await,
            Self::Bench(command) => Box::pin(command.run(environment)).await,
            Self::Doctor(doctor) => Box::pin(doctor::run(doctor, environment)).await,
            Self::Healthcheck(check) => check.run(environment).await,
            Self::Config(command) => Box::pin(command.run(environment)).await,
            Self::Client(command) => command.run(environment).await,
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Self::command(), "tasker", &mut script);
                terminal::print_line(String::from_utf8(script)?.trim_end())?;
                Ok(Exit::Done)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_valid() {
        Tasker::command().debug_assert();
    }
}
