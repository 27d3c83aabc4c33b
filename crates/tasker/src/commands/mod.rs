//! The commands of a user: sign in, submit, look, wait, cancel.

pub(crate) mod account;
pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod operations_and_workers;
pub(crate) mod output;
pub(crate) mod probes;
pub(crate) mod target;
pub(crate) mod task;

use std::error::Error;
use std::fmt;

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::{Task, TaskId, TaskResult};

use crate::config::Environment;
use crate::exit_code::Exit;
use crate::terminal;

pub use crate::commands::target::{NoServer, NotSignedIn, Server};
pub use crate::commands::task::parameters::read as read_parameters;
pub use crate::commands::task::ttl::parse as parse_ttl;

use crate::commands::account::login::{Login, Whoami};
use crate::commands::operations_and_workers::{Operations, Workers};
use crate::commands::task::list::List;
use crate::commands::task::submit::Submit;
use crate::commands::task::view::View;
use crate::commands::task::watch::Watch;

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
    /// Waits for a task's end and prints its result; or prints what happens to your tasks
    Watch(Watch),
    /// Lists the operations that a task may ask for, or shows one
    Operations(Operations),
    /// Lists the workers that live; for administrators
    Workers(Workers),
    /// Makes, lists and changes accounts; for administrators
    #[command(subcommand)]
    User(account::users::Command),
    /// Makes a link by which somebody makes an account; for administrators
    Invite(account::users::Invite),
    /// Signs in: the other commands act as that account then
    Login(Login),
    /// Forgets the sign-in
    Logout,
    /// Says as whom the commands act
    Whoami(Whoami),
}

/// A command about one task.
#[derive(Debug, Args)]
pub struct One {
    /// The task's id, as `tasker submit` printed it
    id: TaskId,
    #[command(flatten)]
    server: Server,
}

/// There is no such thing.
#[derive(Debug)]
pub struct NotFound(String);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotFound {}

impl Command {
    /// Asks the server and prints its answer.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        match self {
            Self::Submit(submit) => return submit.run(environment).await,
            Self::Watch(watch) => return watch.run(environment).await,
            Self::List(list) => list.run(environment).await?,
            Self::Get(One { id, server }) => {
                let task = server.connect(environment)?.get(id).await?;
                print(&server, &task, &View::of(environment))?;
            }
            Self::Result(One { id, server }) => {
                let result = server.connect(environment)?.result(id).await?;
                let table = |found: &TaskResult| terminal::data(found.result.text());
                server.output.print(&result, table, |_| vec![id.to_string()])?;
            }
            Self::Cancel(One { id, server }) => {
                let task = server.connect(environment)?.cancel(id).await?;
                print(&server, &task, &View::of(environment))?;
            }
            Self::Operations(operations) => operations.run(environment).await?,
            Self::Workers(workers) => workers.run(environment).await?,
            Self::User(command) => command.run(environment).await?,
            Self::Invite(invite) => invite.run(environment).await?,
            Self::Login(login) => login.run(environment).await?,
            Self::Logout => account::login::logout(environment)?,
            Self::Whoami(whoami) => whoami.run(environment).await?,
        }
        Ok(Exit::Done)
    }
}

fn print(server: &Server, task: &Task, view: &View) -> std::io::Result<()> {
    server.output.print(task, |task| view.task(task), |task| vec![task.id.to_string()])
}
