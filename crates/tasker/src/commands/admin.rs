//! `tasker admin`: the tasks of all owners, for administrators.

use anyhow::Result;
use clap::{Args, Subcommand};
use database::ProcessClock;
use domain::{
    AdminTask, AdminTaskList, ListCursor, OwnerId, PageRequest, Reason, TaskFilter, TaskId, Timestamp,
    WorkerName,
};

use crate::commands::connection_target::Server;
use crate::commands::output::OutputFormat;
use crate::commands::task::conditions::Conditions;
use crate::commands::task::counts;
use crate::commands::task::view::View;
use crate::config::environment::Environment;
use crate::terminal;

/// The subcommands of `tasker admin`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lists the tasks of all owners, the newest first
    List(List),
    /// Shows a task of any owner, without its parameters, result and error
    Get(TaskArgs),
    /// Cancels a task of any owner; the task names who did it
    Cancel(TaskArgs),
    /// Counts the tasks of all owners by status and type
    Counts {
        /// Count only the tasks of this account or client
        #[arg(long, value_name = "ID")]
        owner: Option<OwnerId>,
        #[command(flatten)]
        server: Server,
    },
}

/// Options of `tasker admin list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    conditions: Conditions,
    /// Only tasks of this account or client
    #[arg(long, value_name = "ID")]
    owner: Option<OwnerId>,
    /// Only tasks that the worker of this name runs or ran last
    #[arg(long, value_name = "NAME")]
    worker: Option<WorkerName>,
    /// The largest number of tasks to list
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(PageRequest::MAX_LIMIT)))]
    limit: u32,
    /// Where the page before ended, as the command said
    #[arg(long)]
    cursor: Option<ListCursor>,
    #[command(flatten)]
    server: Server,
}

/// Options of a command about one task of any owner.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// The task's id
    id: TaskId,
    #[command(flatten)]
    server: Server,
}

impl Command {
    /// Sends the request and prints the answer.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        match self {
            Self::List(list) => list.run(environment).await,
            Self::Get(TaskArgs { id, server }) => {
                let task = server.connect(environment).await?.get_as_admin(id).await?;
                print(&server, &task, &View::of(environment))
            }
            Self::Cancel(TaskArgs { id, server }) => {
                let task = server.connect(environment).await?.cancel_as_admin(id).await?;
                print(&server, &task, &View::of(environment))
            }
            Self::Counts { owner, server } => {
                counts::print(&server, &server.connect(environment).await?.counts_as_admin(owner).await?)
            }
        }
    }
}

impl List {
    async fn run(self, environment: &Environment) -> Result<()> {
        let now = Timestamp(ProcessClock::System.now());
        let filter = TaskFilter { worker: self.worker.clone(), ..self.conditions.filter(now) };
        let page = PageRequest { cursor: self.cursor, ..PageRequest::newest(self.limit) };
        let read = self.server.connect(environment).await?.list_as_admin(self.owner, &filter, page).await?;
        let ids = |found: &AdminTaskList| found.tasks.iter().map(|task| task.id.to_string()).collect();
        self.server.output.print(&read.list, table, ids)?;
        if self.server.output != OutputFormat::Table {
            return Ok(());
        }
        match read.next {
            Some(next) => {
                terminal::print_note(&format!("there may be more: add --cursor {next} to the command"));
            }
            None if read.list.tasks.is_empty() => terminal::print_note("no such tasks"),
            None => {}
        }
        Ok(())
    }
}

fn print(server: &Server, task: &AdminTask, view: &View) -> Result<()> {
    server.output.print(task, |task| view.admin_task(task), |task| vec![task.id.to_string()])?;
    Ok(())
}

/// One line for each task: id, owner, status, type, worker, and the reason if it was cancelled.
fn table(AdminTaskList { tasks }: &AdminTaskList) -> String {
    let width = tasks.iter().map(|task| task.type_name.as_str().len()).max().unwrap_or(0);
    let line = |task: &AdminTask| {
        let AdminTask { id, owner, status, .. } = task;
        let worker = task.worker_name.as_ref().map_or("-", WorkerName::as_str);
        let reason = task.reason.map(Reason::as_str).unwrap_or_default();
        let name = task.type_name.as_str();
        format!("{id}  {owner}  {status:<9}  {name:<width$}  {worker}  {reason}").trim_end().to_owned()
    };
    tasks.iter().map(line).collect::<Vec<_>>().join("\n")
}
