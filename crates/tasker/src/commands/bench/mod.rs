//! `tasker bench`: puts load on a server as a signed-in user, measures, and checks at the end that no task was lost.

pub(crate) mod benchmark_kind;
pub(crate) mod load;
pub(crate) mod reconciliation;
pub(crate) mod report;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::{RawJson, Ttl, TypeName};

use crate::commands::bench::benchmark_kind::BenchmarkKind;
use crate::commands::bench::load::Load;
use crate::commands::bench::reconciliation::Reconciliation;
use crate::commands::bench::report::Report;
use crate::commands::connection_target::Server;
use crate::commands::task::{parameters, ttl};
use crate::config::environment::Environment;
use crate::exit_code::Exit;

/// The subcommands of `tasker bench`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Measures how long a submission takes
    Submit(Plan),
    /// Measures how long a task takes from its submission to its end
    Run(Plan),
    /// Measures how long after its deadline a task that does not end by itself is cancelled
    Ttl(Plan),
}

/// Options of a measurement.
#[derive(Debug, Args)]
pub struct Plan {
    /// The number of tasks at a time, each submitted when the one before has ended
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// Submit N tasks a second instead of a fixed number at a time; durations count from when each task should have been
    /// submitted
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// The duration of the load
    #[arg(long, default_value = "10s", value_parser = ttl::parse)]
    duration: Ttl,
    /// The type of the tasks [default: ECHO; for `ttl` SLEEP]
    #[arg(long = "type", value_name = "TYPE")]
    name: Option<TypeName>,
    /// The parameters of the tasks [default: none; for `ttl` ten times the time to live]
    #[arg(long, value_name = "JSON")]
    parameters: Option<String>,
    /// The time to live of the tasks [default: 1m; for `ttl` 500ms]
    #[arg(long, value_parser = ttl::parse)]
    ttl: Option<Ttl>,
    #[command(flatten)]
    server: Server,
}

impl Command {
    /// Runs the measurement and prints its report.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let (kind, plan) = match self {
            Self::Submit(plan) => (BenchmarkKind::Submission, plan),
            Self::Run(plan) => (BenchmarkKind::EndToEnd, plan),
            Self::Ttl(plan) => (BenchmarkKind::Lateness, plan),
        };
        plan.run(kind, environment).await
    }
}

impl Plan {
    async fn run(self, kind: BenchmarkKind, environment: &Environment) -> Result<Exit> {
        let client = self.server.connect(environment).await?;
        let load = self.load(kind)?;
        // A wrong type, invalid parameters or a missing role is reported before the load begins.
        load.submit_one(&client).await?;
        let measured = load.run(&client).await;
        let reconciliation = Reconciliation::check(&client, &measured.accepted, kind).await;
        let report = Report::of(kind, &load, &measured, &reconciliation);
        self.server.output.print(&report, Report::table, |_| Vec::new())?;
        let is_success = reconciliation.is_as_expected() && measured.errors == 0;
        Ok(if is_success { Exit::Done } else { Exit::Error })
    }

    fn load(&self, kind: BenchmarkKind) -> Result<Load> {
        let (name, ttl) = kind.defaults();
        let name = self.name.clone().unwrap_or_else(|| name.parse().expect("a valid default type"));
        let ttl = self.ttl.unwrap_or_else(|| ttl.try_into().expect("a valid default time to live"));
        let parameters = match (&self.parameters, kind) {
            (Some(argument), _) => Some(parameters::read(argument)?),
            (None, BenchmarkKind::Lateness) if self.name.is_none() => {
                let text = format!(r#"{{"ms": {}}}"#, ttl.millis().saturating_mul(10));
                Some(RawJson::parse(text).expect("valid JSON"))
            }
            (None, _) => None,
        };
        Ok(Load {
            kind,
            name,
            parameters,
            ttl,
            concurrency: self.concurrency,
            rate: self.rate,
            duration: Duration::from_millis(self.duration.millis()),
        })
    }
}
