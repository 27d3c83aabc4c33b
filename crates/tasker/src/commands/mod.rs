//! The commands that are not services: requests to a server, accounts, measurements, settings, checks.

pub(crate) mod account;
pub(crate) mod admin;
pub(crate) mod bench;
pub(crate) mod checks;
pub(crate) mod config;
pub(crate) mod confirmation;
pub(crate) mod connection_target;
pub(crate) mod doctor;
pub(crate) mod healthcheck;
pub(crate) mod operation_check;
pub(crate) mod operations_and_workers;
pub(crate) mod output;
pub(crate) mod schedule;
pub(crate) mod session_file;
pub(crate) mod task;

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::{Task, TaskResult};

use crate::commands::account::login::{self, Login, Token, Whoami};
use crate::commands::account::passwd::Passwd;
use crate::commands::account::users::{self, Invite};
use crate::commands::connection_target::Server;
use crate::commands::operations_and_workers::{Operations, Workers};
use crate::commands::task::cancel::Cancel;
use crate::commands::task::counts::Counts;
use crate::commands::task::id_prefix::IdPrefix;
use crate::commands::task::list::List;
use crate::commands::task::rerun::Rerun;
use crate::commands::task::submit::Submit;
use crate::commands::task::view::View;
use crate::commands::task::watch::Watch;
use crate::config::environment::Environment;
use crate::exit_code::Exit;
use crate::terminal;

/// The commands that send requests to a server as a user.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Submits a task and prints its id
    Submit(Submit),
    /// Lists your tasks, the newest first
    List(List),
    /// Shows a task
    Get(TaskArgs),
    /// Prints the result of a finished task
    Result(TaskArgs),
    /// Counts your tasks by status and type
    Counts(Counts),
    /// Cancels a task, or all your tasks that meet conditions
    Cancel(Cancel),
    /// Submits the content of a task again, as a new task
    Rerun(Rerun),
    /// Waits for the end of a task and prints its result; without an id prints every change of your tasks
    Watch(Watch),
    /// Creates, lists, runs, pauses and deletes schedules, which submit a task again and again
    #[command(subcommand)]
    Schedule(schedule::Command),
    /// Lists the operations that a task may ask for, or shows one
    Operations(Operations),
    /// Checks the operations that the settings of a worker declare
    #[command(subcommand)]
    Operation(operation_check::Command),
    /// Lists the running workers; for administrators
    Workers(Workers),
    /// Lists, shows, counts and cancels the tasks of all owners; for administrators
    #[command(subcommand)]
    Admin(admin::Command),
    /// Creates, lists, changes and deletes accounts; for administrators
    #[command(subcommand)]
    User(users::Command),
    /// Creates a link with which somebody can register an account; for administrators
    Invite(Invite),
    /// Signs in: the other commands then act as that account
    Login(Login),
    /// Signs out: removes the stored sign-in
    Logout,
    /// Changes your password
    Passwd(Passwd),
    /// Prints an access token of the account, for scripts
    Token(Token),
    /// Shows the account as which the commands act
    Whoami(Whoami),
}

/// Options of a command about one task.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// The task's id, as `tasker submit` printed it, or its first characters
    id: IdPrefix,
    #[command(flatten)]
    server: Server,
}

impl Command {
    /// Sends the request and prints the answer.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        match self {
            Self::Submit(submit) => return submit.run(environment).await,
            Self::Watch(watch) => return watch.run(environment).await,
            Self::Rerun(rerun) => return rerun.run(environment).await,
            Self::Operation(command) => return command.run(environment).await,
            Self::List(list) => list.run(environment).await?,
            Self::Get(TaskArgs { id, server }) => {
                let client = server.connect(environment).await?;
                let task = client.get(id.find(&client).await?).await?;
                print(&server, &task, &View::of(environment))?;
            }
            Self::Result(TaskArgs { id, server }) => {
                let client = server.connect(environment).await?;
                let id = id.find(&client).await?;
                let result = client.result(id).await?;
                let table = |found: &TaskResult| terminal::escape_on_terminal(found.result.text());
                server.output.print(&result, table, |_| vec![id.to_string()])?;
            }
            Self::Counts(counts) => counts.run(environment).await?,
            Self::Cancel(cancel) => cancel.run(environment).await?,
            Self::Admin(command) => command.run(environment).await?,
            Self::Schedule(command) => command.run(environment).await?,
            Self::Operations(operations) => operations.run(environment).await?,
            Self::Workers(workers) => workers.run(environment).await?,
            Self::User(command) => command.run(environment).await?,
            Self::Invite(invite) => invite.run(environment).await?,
            Self::Login(login) => login.run(environment).await?,
            Self::Logout => login::logout(environment).await?,
            Self::Passwd(passwd) => passwd.run(environment).await?,
            Self::Token(token) => token.run(environment).await?,
            Self::Whoami(whoami) => whoami.run(environment).await?,
        }
        Ok(Exit::Done)
    }
}

fn print(server: &Server, task: &Task, view: &View) -> std::io::Result<()> {
    server.output.print(task, |task| view.task(task), |task| vec![task.id.to_string()])
}
