//! `tasker operations`, `tasker workers`: what may be asked for, and who does it.

use anyhow::Result;
use clap::Args;
use domain::{LiveWorker, Operation, OperationList, TypeName, WorkerList};

use crate::commands::NotFound;
use crate::commands::target::Server;
use crate::config::Environment;
use crate::terminal;

/// Lists operations.
#[derive(Debug, Args)]
pub struct Operations {
    /// One of them, with the JSON Schemas of its parameters and its result
    #[arg(value_name = "TYPE")]
    name: Option<TypeName>,
    #[command(flatten)]
    server: Server,
}

/// Lists workers.
#[derive(Debug, Args)]
pub struct Workers {
    #[command(flatten)]
    server: Server,
}

impl Operations {
    /// Asks for the catalogue and prints it, or one entry of it.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let OperationList { operations } = self.server.connect(environment)?.operations().await?;
        let id = |operation: &Operation| operation.name.to_string();
        let Some(name) = self.name else {
            let ids = |all: &OperationList| all.operations.iter().map(id).collect();
            self.server.output.print(&OperationList { operations }, table, ids)?;
            return Ok(());
        };
        let Some(operation) = operations.into_iter().find(|operation| operation.name == name) else {
            return Err(
                NotFound(format!("there is no operation {name}: `tasker operations` lists them")).into()
            );
        };
        self.server.output.print(&operation, one, |operation| vec![id(operation)])?;
        Ok(())
    }
}

impl Workers {
    /// Asks for the workers and prints them.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let found = self.server.connect(environment)?.workers().await?;
        let ids = |all: &WorkerList| all.workers.iter().map(|worker| worker.name.to_string()).collect();
        self.server.output.print(&found, workers, ids)?;
        if found.workers.is_empty() {
            terminal::note("no worker lives");
        }
        Ok(())
    }
}

fn table(OperationList { operations }: &OperationList) -> String {
    let width = operations.iter().map(|operation| operation.name.as_str().len()).max().unwrap_or(0);
    let line = |operation: &Operation| {
        let about =
            operation.parameters.get("description").and_then(|text| text.as_str()).unwrap_or_default();
        let about = about.lines().next().unwrap_or_default();
        let line = format!(
            "{:<width$}  v{:<3}  {}",
            operation.name.as_str(),
            operation.version,
            terminal::plain(about)
        );
        line.trim_end().to_owned()
    };
    operations.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn one(operation: &Operation) -> String {
    let pretty = |schema: &serde_json::Value| terminal::plain(&format!("{schema:#}")).into_owned();
    let life =
        |ttl: Option<domain::Ttl>| ttl.map_or_else(|| "-".to_owned(), |ttl| format!("{} ms", ttl.millis()));
    format!(
        "type        {}\nversion     {}\nqueue       {}\nisolation   {}\nttl         default {}, most {}\nparameters  {}\nresult      {}",
        operation.name,
        operation.version,
        operation.queue,
        operation.isolation.as_str(),
        life(operation.ttl.default),
        life(operation.ttl.max),
        pretty(&operation.parameters),
        pretty(&operation.result),
    )
}

fn workers(WorkerList { workers }: &WorkerList) -> String {
    let width = workers.iter().map(|worker| worker.name.as_str().len()).max().unwrap_or(0);
    let line = |worker: &LiveWorker| {
        let types: Vec<&str> = worker.types.iter().map(TypeName::as_str).collect();
        let (name, slots, seen) = (worker.name.as_str(), worker.slots, worker.seen_date);
        format!("{name:<width$}  {slots:>4} slots  seen {seen}  {}", types.join(" "))
    };
    workers.iter().map(line).collect::<Vec<_>>().join("\n")
}
