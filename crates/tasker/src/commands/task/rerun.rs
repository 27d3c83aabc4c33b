//! `tasker rerun`: submits the content of a task again, and with `--wait` waits for the end of the new task.

use anyhow::Result;
use clap::Args;
use domain::{IdempotencyKey, Ttl};

use crate::commands::connection_target::Server;
use crate::commands::task::id_prefix::IdPrefix;
use crate::commands::task::submit::print_or_wait;
use crate::commands::task::ttl;
use crate::config::environment::Environment;
use crate::exit_code::Exit;

/// Options of `tasker rerun`.
#[derive(Debug, Args)]
pub struct Rerun {
    /// The id of the task whose content is submitted again, or its first characters
    id: IdPrefix,
    /// Wait for the end of the new task and print its result; `--wait=30s` waits at most 30 seconds
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, value_parser = ttl::parse)]
    #[expect(clippy::option_option, reason = "absent, without a limit, with one: clap's form of that")]
    wait: Option<Option<Ttl>>,
    /// A key for this submission: repeated with the same key within 24 hours, the command submits nothing more and prints the same
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<IdempotencyKey>,
    #[command(flatten)]
    server: Server,
}

impl Rerun {
    /// Submits the new task, waits if asked to, and prints.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let client = self.server.connect(environment).await?;
        let key = self.idempotency_key.unwrap_or_else(IdempotencyKey::random);
        let id = client.rerun(self.id.find(&client).await?, &key).await?;
        print_or_wait(&self.server, &client, id, self.wait).await
    }
}
