//! `tasker bench`: puts load on a server as a signed-in user, measures, and checks at the end that no task was lost.

pub(crate) mod benchmark_kind;
pub(crate) mod burst;
pub(crate) mod burst_report;
pub(crate) mod busy_cores;
pub(crate) mod isolation_level;
pub(crate) mod level_worker;
pub(crate) mod load;
pub(crate) mod measured;
pub(crate) mod own_server;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod reconciliation;
pub(crate) mod report;

use anyhow::Result;
use clap::Subcommand;

use crate::commands::bench::benchmark_kind::BenchmarkKind;
use crate::commands::bench::burst::Burst;
use crate::commands::bench::plan::Plan;
use crate::config::environment::Environment;
use crate::exit_code::Exit;

/// The subcommands of `tasker bench`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measures how long a submission takes
    Submit(Plan),
    /// Measures how long a task takes from its submission to its end
    Run(Plan),
    /// Measures how long after its deadline a task that does not end by itself is cancelled and its work stops, and how long
    /// a cancellation takes
    Ttl(Plan),
    /// Measures how long it takes to end many running tasks whose deadlines pass at the same time, and how other requests fare
    /// meanwhile
    Burst(Burst),
}

impl Command {
    /// Runs the measurement and prints its report.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let (kind, plan) = match self {
            Self::Submit(plan) => (BenchmarkKind::Submission, plan),
            Self::Run(plan) => (BenchmarkKind::EndToEnd, plan),
            Self::Ttl(plan) => (BenchmarkKind::Lateness, plan),
            Self::Burst(burst) => return Box::pin(burst.run()).await,
        };
        plan.run(kind, environment).await
    }
}
