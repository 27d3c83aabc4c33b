//! `tasker list`: one page of the user's tasks.

use anyhow::Result;
use clap::Args;
use database::ProcessClock;
use domain::{PageRequest, TaskId, TaskList, Timestamp};

use crate::commands::connection_target::Server;
use crate::commands::output::OutputFormat;
use crate::commands::task::view::View;
use crate::config::environment::Environment;
use crate::terminal;

/// Options of `tasker list`.
#[derive(Debug, Args)]
pub struct List {
    /// The largest number of tasks to list
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(PageRequest::MAX_LIMIT)))]
    limit: u32,
    /// List only tasks older than this one, such as the last of the page before
    #[arg(long, value_name = "ID")]
    before: Option<TaskId>,
    #[command(flatten)]
    server: Server,
}

impl List {
    /// Requests a page and prints it.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let page = PageRequest { before: self.before, limit: self.limit };
        let found = self.server.connect(environment)?.list(page).await?;
        let view = View::of(environment);
        let ids = |found: &TaskList| found.tasks.iter().map(|task| task.id.to_string()).collect();
        self.server.output.print(
            &found,
            |found| view.list(found, Timestamp(ProcessClock::System.now())),
            ids,
        )?;
        if self.server.output != OutputFormat::Table {
            return Ok(());
        }
        match found.tasks.last() {
            None if self.before.is_some() => terminal::print_note("no older tasks"),
            None => {
                terminal::print_note("no tasks yet; to submit one: tasker submit GENERATE_LOGIN --ttl 5s");
            }
            Some(last) if found.tasks.len() >= self.limit as usize => {
                terminal::print_note(&format!(
                    "there may be more: tasker list --limit {} --before {}",
                    self.limit, last.id
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }
}
