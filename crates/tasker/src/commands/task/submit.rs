//! `tasker submit`: asks for work, and waits for its end if told to.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use domain::{Ttl, TypeName};

use super::{parameters, ttl, watch};
use crate::commands::target::Server;
use crate::commands::task::watch::StillRunning;
use crate::config::Environment;
use crate::exit_code::Exit;

/// Submits a task.
#[derive(Debug, Args)]
pub struct Submit {
    /// The operation that it asks for, like `GENERATE_LOGIN`
    #[arg(value_name = "TYPE")]
    name: TypeName,
    /// Its parameters: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    parameters: Option<String>,
    /// Its time to live, counted from its start: 500ms, 5s, 2m, 1h, 7d
    #[arg(long, value_parser = ttl::parse)]
    ttl: Option<Ttl>,
    /// Wait until it has ended, then print its result; `--wait=30s` no longer than that. Ctrl-C ends the wait and not
    /// the task
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, value_parser = ttl::parse)]
    #[expect(clippy::option_option, reason = "absent, without a limit, with one: as clap spells it")]
    wait: Option<Option<Ttl>>,
    #[command(flatten)]
    server: Server,
}

impl Submit {
    /// Submits, waits if asked to, and prints.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let parameters = self.parameters.as_deref().map(parameters::read).transpose()?;
        let client = self.server.connect(environment)?;
        let id = client.submit(&self.name, parameters.as_ref(), self.ttl).await?;
        let Some(limit) = self.wait else {
            let text = |task: &StillRunning| task.id.to_string();
            self.server.output.print(&StillRunning { id }, text, |task| vec![text(task)])?;
            return Ok(Exit::Done);
        };
        let limit = limit.map(|limit| Duration::from_millis(limit.millis()));
        watch::to_the_end(&self.server, &client, id, limit).await
    }
}
