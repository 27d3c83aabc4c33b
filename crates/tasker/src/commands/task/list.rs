//! `tasker list`: one page of the user's tasks, all or those that meet conditions.

use anyhow::Result;
use clap::Args;
use client::Client;
use database::ProcessClock;
use domain::{PageRequest, TaskFilter, TaskId, TaskList, Timestamp};

use crate::commands::connection_target::Server;
use crate::commands::output::OutputFormat;
use crate::commands::task::conditions::Conditions;
use crate::commands::task::id_prefix::IdPrefix;
use crate::commands::task::view::View;
use crate::config::environment::Environment;
use crate::terminal;

/// Options of `tasker list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    conditions: Conditions,
    /// The largest number of tasks to list
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(PageRequest::MAX_LIMIT)))]
    limit: u32,
    /// List only tasks older than this one, such as the last of the page before
    #[arg(long, value_name = "ID")]
    before: Option<IdPrefix>,
    #[command(flatten)]
    server: Server,
}

impl List {
    /// Requests a page and prints it.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let now = Timestamp(ProcessClock::System.now());
        let filter = self.conditions.filter(now);
        let client = self.server.connect(environment).await?;
        let before = match &self.before {
            Some(id) => Some(id.find(&client).await?),
            None => None,
        };
        let page = PageRequest { before, ..PageRequest::newest(self.limit) };
        let found = read_full_page(&client, &filter, page).await?;
        let view = View::of(environment);
        let ids = |found: &TaskList| found.tasks.iter().map(|task| task.id.to_string()).collect();
        self.server.output.print(&found, |found| view.list(found, now, terminal::columns()), ids)?;
        if self.server.output != OutputFormat::Table {
            return Ok(());
        }
        match found.tasks.last() {
            None if self.before.is_some() => terminal::print_note("no older tasks"),
            None if filter != TaskFilter::UNFILTERED => terminal::print_note("no such tasks"),
            None => {
                terminal::print_note("no tasks yet; to submit one: tasker submit GENERATE_LOGIN --ttl 5s");
            }
            Some(last) if found.tasks.len() >= self.limit as usize => {
                terminal::print_note(&format!("there may be more: {}", self.next_command(last.id)));
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The command that lists the page after the task `last`.
    fn next_command(&self, last: TaskId) -> String {
        format!("tasker list{} --limit {} --before {last}", self.conditions.options(), self.limit)
    }
}

/// The first tasks of a list, as many as the page may have: pages of a long list with few such tasks are joined.
async fn read_full_page(client: &Client, filter: &TaskFilter, page: PageRequest) -> Result<TaskList> {
    let mut found = TaskList { tasks: Vec::new() };
    let mut next = Some(page);
    while let Some(page) = next {
        let read = client.list_filtered(filter, page).await?;
        found.tasks.extend(read.list.tasks);
        next = read.next.filter(|_| found.tasks.len() < page.limit as usize).map(|next| page.next_page(next));
    }
    found.tasks.truncate(page.limit as usize);
    Ok(found)
}
