//! The commands of a user: sign in, submit, look, wait, cancel.

mod catalogue;
mod list;
mod parameters;
mod print;
mod server;
mod session;
mod sign_in;
mod submit;
mod ttl;
mod user;
mod view;
mod watch;

use std::error::Error;
use std::fmt;

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::{Task, TaskId, TaskResult};

use crate::config::Environment;
use crate::exit::Exit;
use crate::show;

pub use parameters::read as read_parameters;
pub use server::{NoServer, NotSignedIn, Server};
pub use ttl::parse as parse_ttl;

use catalogue::{Operations, Workers};
use list::List;
use sign_in::{Login, Whoami};
use submit::Submit;
use view::View;
use watch::Watch;

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
    User(user::Command),
    /// Makes a link by which somebody makes an account; for administrators
    Invite(user::Invite),
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
                let table = |found: &TaskResult| show::data(found.result.text());
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
            Self::Logout => sign_in::logout(environment)?,
            Self::Whoami(whoami) => whoami.run(environment).await?,
        }
        Ok(Exit::Done)
    }
}

fn print(server: &Server, task: &Task, view: &View) -> std::io::Result<()> {
    server.output.print(task, |task| view.task(task), |task| vec![task.id.to_string()])
}
