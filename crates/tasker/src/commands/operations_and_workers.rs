//! `tasker operations` and `tasker workers`: lists of what tasks may ask for and of the workers that run them.

use anyhow::Result;
use clap::Args;
use domain::{LiveWorker, Operation, OperationList, TypeName, WorkerList};

use crate::command_error::NotFound;
use crate::commands::connection_target::Server;
use crate::config::environment::Environment;
use crate::terminal;

/// Options of `tasker operations`.
#[derive(Debug, Args)]
pub struct Operations {
    /// Show only this operation, with the JSON Schemas of its parameters and its result
    #[arg(value_name = "TYPE")]
    name: Option<TypeName>,
    #[command(flatten)]
    server: Server,
}

/// Options of `tasker workers`.
#[derive(Debug, Args)]
pub struct Workers {
    #[command(flatten)]
    server: Server,
}

impl Operations {
    /// Requests the operations and prints all of them, or one.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let OperationList { operations } = self.server.connect(environment).await?.operations().await?;
        let id = |operation: &Operation| operation.name.to_string();
        let Some(name) = self.name else {
            let ids = |all: &OperationList| all.operations.iter().map(id).collect();
            self.server.output.print(&OperationList { operations }, operations_table, ids)?;
            return Ok(());
        };
        let Some(operation) = operations.into_iter().find(|operation| operation.name == name) else {
            return Err(
                NotFound(format!("there is no operation {name}: `tasker operations` lists them")).into()
            );
        };
        self.server.output.print(&operation, operation_details, |operation| vec![id(operation)])?;
        Ok(())
    }
}

impl Workers {
    /// Requests the workers and prints them.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let found = self.server.connect(environment).await?.workers().await?;
        let ids = |all: &WorkerList| all.workers.iter().map(|worker| worker.name.to_string()).collect();
        self.server.output.print(&found, workers_table, ids)?;
        if found.workers.is_empty() {
            terminal::print_note("no workers are running");
        }
        Ok(())
    }
}

fn operations_table(OperationList { operations }: &OperationList) -> String {
    let width = operations.iter().map(|operation| operation.name.as_str().len()).max().unwrap_or(0);
    let line = |operation: &Operation| {
        let about = operation.description.lines().next().unwrap_or_default();
        let line = format!(
            "{:<width$}  v{:<3}  {}",
            operation.name.as_str(),
            operation.version,
            terminal::escape_line(about)
        );
        line.trim_end().to_owned()
    };
    operations.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn operation_details(operation: &Operation) -> String {
    let pretty =
        |schema: &serde_json::Value| terminal::escape_control_chars(&format!("{schema:#}")).into_owned();
    let ttl =
        |ttl: Option<domain::Ttl>| ttl.map_or_else(|| "-".to_owned(), |ttl| format!("{} ms", ttl.millis()));
    format!(
        "type        {}\nabout       {}\nversion     {}\nqueue       {}\nisolation   {}\nttl         default {}, max {}\nparameters  {}\nresult      {}",
        operation.name,
        terminal::indent(&operation.description, 12),
        operation.version,
        operation.queue,
        operation.isolation.as_str(),
        ttl(operation.ttl.default),
        ttl(operation.ttl.max),
        pretty(&operation.parameters),
        pretty(&operation.result),
    )
}

fn workers_table(WorkerList { workers }: &WorkerList) -> String {
    let width = workers.iter().map(|worker| worker.name.as_str().len()).max().unwrap_or(0);
    let line = |worker: &LiveWorker| {
        let types: Vec<&str> = worker.types.iter().map(TypeName::as_str).collect();
        let (name, slots, seen) = (worker.name.as_str(), worker.slots, worker.seen_date);
        let means: Vec<&str> = worker.stop_means.iter().map(|means| means.as_str()).collect();
        let means = if means.is_empty() { String::new() } else { format!("  stops by {}", means.join(", ")) };
        format!("{name:<width$}  {slots:>4} slots  seen {seen}{means}  {}", types.join(" "))
    };
    workers.iter().map(line).collect::<Vec<_>>().join("\n")
}
