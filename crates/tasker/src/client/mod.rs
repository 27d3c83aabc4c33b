//! The commands of a user: submit, list, get, result, cancel.

mod list;
mod parameters;
mod server;
mod submit;
mod ttl;
mod view;

use std::io;

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::{TaskId, TaskResult};
use serde::Serialize;

use crate::config::Environment;
use crate::exit::Exit;
use crate::show;

pub use server::NoServer;

use list::List;
use server::Server;
use submit::Submit;

/// What a user asks for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submits a task and prints its id
    Submit(Submit),
    /// Lists your tasks, the newest first
    List(List),
    /// Shows a task
    Get(One),
    /// Prints the result of a finished task
    Result(One),
    /// Cancels a task
    Cancel(One),
}

/// A command about one task.
#[derive(Debug, Args)]
pub struct One {
    /// The task's id, as `tasker submit` printed it
    id: TaskId,
    #[command(flatten)]
    server: Server,
}

impl Command {
    /// Asks the server and prints its answer.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        match self {
            Self::Submit(submit) => return submit.run(environment).await,
            Self::List(list) => list.run(environment).await?,
            Self::Get(One { id, server }) => {
                server.print(&server.connect(environment)?.get(id).await?, view::task)?;
            }
            Self::Result(One { id, server }) => {
                server.print(&server.connect(environment)?.result(id).await?, result)?;
            }
            Self::Cancel(One { id, server }) => {
                server.print(&server.connect(environment)?.cancel(id).await?, view::task)?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Server {
    /// Prints an answer as the user wants to read it.
    fn print<T: Serialize>(&self, answer: &T, text: impl FnOnce(&T) -> String) -> io::Result<()> {
        match self.output {
            server::Output::Json => show::line(&serde_json::to_string(answer)?),
            server::Output::Text => match text(answer) {
                nothing if nothing.is_empty() => Ok(()),
                text => show::line(&text),
            },
        }
    }
}

/// The bytes that the operation returned.
fn result(TaskResult { result }: &TaskResult) -> String {
    result.text().to_owned()
}
