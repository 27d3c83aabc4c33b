//! `tasker cancel`: cancels one task, or all tasks of the user that meet conditions.

use anyhow::Result;
use clap::Args;
use client::Client;
use database::ProcessClock;
use domain::{BulkCancellation, TaskFilter, Timestamp};

use crate::commands::confirmation::is_confirmed;
use crate::commands::connection_target::Server;
use crate::commands::task::conditions::Conditions;
use crate::commands::task::id_prefix::IdPrefix;
use crate::commands::task::view::View;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::terminal;

/// Options of `tasker cancel`.
#[derive(Debug, Args)]
pub struct Cancel {
    /// The task's id, as `tasker submit` printed it, or its first characters; without it, give conditions
    id: Option<IdPrefix>,
    #[command(flatten)]
    conditions: Conditions,
    /// Cancel all tasks that meet the conditions without a question
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    server: Server,
}

impl Cancel {
    /// Sends the request and prints the cancelled task, or how many tasks were cancelled.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let filter = self.conditions.filter(Timestamp(ProcessClock::System.now()));
        match (&self.id, filter == TaskFilter::UNFILTERED) {
            (Some(_), false) => {
                Err(ConfigError::new("give either the id of a task or conditions, not both").into())
            }
            (None, true) => {
                Err(ConfigError::new("give the id of a task, or conditions such as --type or --status")
                    .into())
            }
            (Some(id), true) => {
                let client = self.server.connect(environment).await?;
                let task = client.cancel(id.find(&client).await?).await?;
                let view = View::of(environment);
                self.server.output.print(&task, |task| view.task(task), |task| vec![task.id.to_string()])?;
                Ok(())
            }
            (None, false) => self.cancel_matching(&filter, environment).await,
        }
    }

    async fn cancel_matching(&self, filter: &TaskFilter, environment: &Environment) -> Result<()> {
        let client = self.server.connect(environment).await?;
        let question = format!("Cancel every unfinished task of{}? [y/N] ", self.conditions.options());
        if !self.yes && !is_confirmed(&question)? {
            terminal::print_note("nothing was cancelled");
            return Ok(());
        }
        let cancelled = cancel_all(&client, filter).await?;
        let text = |done: &BulkCancellation| match done.cancelled {
            1 => "1 task was cancelled".to_owned(),
            tasks => format!("{tasks} tasks were cancelled"),
        };
        self.server.output.print(&cancelled, text, |done| vec![done.cancelled.to_string()])?;
        Ok(())
    }
}

/// Repeats the request until it has looked at every task.
async fn cancel_all(client: &Client, filter: &TaskFilter) -> Result<BulkCancellation> {
    let mut cancelled = 0;
    loop {
        let done = client.cancel_matching(filter).await?;
        cancelled += done.cancelled;
        if !done.has_more {
            return Ok(BulkCancellation { cancelled, has_more: false });
        }
    }
}
