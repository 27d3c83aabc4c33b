//! `tasker list`: a page of the user's tasks.

use anyhow::Result;
use clap::Args;
use domain::{Page, TaskId, TaskList};

use crate::commands::output::Output;
use crate::commands::target::Server;
use crate::commands::task::view::View;
use crate::config::Environment;
use crate::terminal;

/// Lists tasks.
#[derive(Debug, Args)]
pub struct List {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(Page::LONGEST)))]
    limit: u32,
    /// Only those that are older than this task: the last one of the list before
    #[arg(long, value_name = "ID")]
    before: Option<TaskId>,
    #[command(flatten)]
    server: Server,
}

impl List {
    /// Fetches a page and prints it.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let page = Page { before: self.before, limit: self.limit };
        let found = self.server.connect(environment)?.list(page).await?;
        let view = View::of(environment);
        let ids = |found: &TaskList| found.tasks.iter().map(|task| task.id.to_string()).collect();
        self.server.output.print(&found, |found| view.list(found), ids)?;
        if self.server.output != Output::Table {
            return Ok(());
        }
        match found.tasks.last() {
            None if self.before.is_some() => terminal::note("no older tasks"),
            None => terminal::note("no tasks yet; this submits one: tasker submit GENERATE_LOGIN --ttl 5s"),
            Some(last) if found.tasks.len() >= self.limit as usize => {
                terminal::note(&format!(
                    "there may be more: tasker list --limit {} --before {}",
                    self.limit, last.id
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }
}
