//! `tasker counts`: how many tasks the user has, by status and type.

use std::fmt::Write;

use anyhow::Result;
use clap::Args;
use domain::{Status, TaskCountsResponse};

use crate::commands::connection_target::Server;
use crate::config::environment::Environment;

/// Options of `tasker counts`.
#[derive(Debug, Args)]
pub struct Counts {
    #[command(flatten)]
    server: Server,
}

impl Counts {
    /// Requests the numbers and prints them.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        let counts = self.server.connect(environment).await?.counts().await?;
        print(&self.server, &counts)
    }
}

/// Prints the numbers of tasks: a line for all tasks and one for each type, a column for each status.
pub fn print(server: &Server, counts: &TaskCountsResponse) -> Result<()> {
    let ids = |counts: &TaskCountsResponse| {
        counts.statuses.iter().map(|count| format!("{} {}", count.status, count.count)).collect()
    };
    server.output.print(counts, table, ids)?;
    Ok(())
}

fn table(TaskCountsResponse { statuses, types, .. }: &TaskCountsResponse) -> String {
    let width = types.iter().map(|count| count.type_name.as_str().len()).max().unwrap_or(0).max("TYPE".len());
    let mut table = format!("{:<width$}", "TYPE");
    for count in statuses {
        write!(table, "  {:>10}", count.status).expect("a text takes what is written");
    }
    write!(table, "\n{:<width$}", "all").expect("a text takes what is written");
    for count in statuses {
        let more = if count.is_exact { "" } else { "+" };
        write!(table, "  {:>10}", format!("{}{more}", count.count)).expect("a text takes what is written");
    }
    let mut names: Vec<&str> = types.iter().map(|count| count.type_name.as_str()).collect();
    names.dedup();
    for name in names {
        write!(table, "\n{name:<width$}").expect("a text takes what is written");
        for &status in Status::ALL {
            let is_it =
                |count: &&domain::TypeCount| count.type_name.as_str() == name && count.status == status;
            let count = types.iter().find(is_it).map_or(0, |count| count.count);
            write!(table, "  {count:>10}").expect("a text takes what is written");
        }
    }
    table
}
