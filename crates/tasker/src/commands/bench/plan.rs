//! The options of a measurement, and its course.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use client::Client;
use domain::{RawJson, Ttl, TypeName};

use crate::commands::bench::benchmark_kind::BenchmarkKind;
use crate::commands::bench::busy_cores::BusyCores;
use crate::commands::bench::isolation_level::IsolationLevel;
use crate::commands::bench::level_worker::LevelWorker;
use crate::commands::bench::load::{Load, LoadLength};
use crate::commands::bench::own_server::OwnServer;
use crate::commands::bench::reconciliation::Reconciliation;
use crate::commands::bench::report::{Conditions, Report};
use crate::commands::connection_target::Server;
use crate::commands::task::{parameters, ttl};
use crate::config::environment::Environment;
use crate::exit_code::Exit;

/// How long a task of a level runs that is not to end by itself, in milliseconds.
const ENDLESS_MS: u64 = 86_400_000;

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
    /// The number of tasks, instead of a duration
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u32).range(1..))]
    tasks: Option<u32>,
    /// Keep all cores of this machine busy meanwhile
    #[arg(long)]
    busy: bool,
    /// Measure an operation of this isolation level, whose grace is 0, at a server that this command starts and ends: a
    /// `tasker up` in a temporary directory, and a worker
    #[arg(long, value_enum, conflicts_with_all = ["name", "parameters", "token", "data_dir", "backend_url", "tls_ca"])]
    level: Option<IsolationLevel>,
    /// One setting of the server of --level, as in `--set database.url=...`; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE", requires = "level")]
    set: Vec<String>,
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

impl Plan {
    /// Runs the measurement and prints its report.
    pub async fn run(self, kind: BenchmarkKind, environment: &Environment) -> Result<Exit> {
        let Some(level) = self.level else {
            let client = self.server.connect(environment).await?;
            let load = self.load(kind, None)?;
            return self.measure(&client, load).await;
        };
        let server = OwnServer::start(&self.set).await?;
        let (user, worker) = (server.user()?, server.worker()?);
        let slots = NonZeroU32::new(self.concurrency).expect("at least one task at a time");
        let measurement = async {
            let worker = LevelWorker::start(worker, level, kind.is_endless(), slots).await?;
            let load = self.load(kind, Some(worker.name.clone()))?;
            let exit = self.measure(&user, load).await?;
            worker.stop().await?;
            Ok(exit)
        };
        server.run(measurement).await
    }

    /// Runs the load, and once more with cancellations if it is one of tasks that do not end by themselves.
    async fn measure(&self, client: &Client, load: Load) -> Result<Exit> {
        // A wrong type, invalid parameters or a missing role is reported before the load begins.
        load.submit_one(client).await?;
        let busy = if self.busy { BusyCores::start() } else { BusyCores::default() };
        let conditions = Conditions { level: self.level, busy_cores: busy.count() };
        let measured = load.run(client).await;
        let reconciliation = Reconciliation::check(client, &measured.accepted, load.kind).await;
        let report = Report::of(conditions, &load, &measured, &reconciliation);
        if load.kind != BenchmarkKind::Lateness {
            return self.print(&report);
        }
        let cancelled = load.clone().with_cancellations();
        let measured = cancelled.run(client).await;
        let reconciliation = Reconciliation::check(client, &measured.accepted, cancelled.kind).await;
        let cancellations = Report::of(conditions, &cancelled, &measured, &reconciliation);
        self.print(&report.with_cancellations(cancellations))
    }

    fn print(&self, report: &Report<'_>) -> Result<Exit> {
        self.server.output.print(report, Report::table, |_| Vec::new())?;
        Ok(if report.is_success() { Exit::Done } else { Exit::Error })
    }

    /// The load of tasks of the type `level_type`, or of the type that the options name.
    fn load(&self, kind: BenchmarkKind, level_type: Option<TypeName>) -> Result<Load> {
        let (default_name, default_ttl) = kind.defaults();
        let ttl = self.ttl.unwrap_or_else(|| default_ttl.try_into().expect("a valid default time to live"));
        let run_ms = ttl.millis().saturating_mul(10);
        let json = |text| Some(RawJson::parse(text).expect("valid JSON"));
        let parameters = match (&self.parameters, &level_type) {
            (Some(argument), _) => Some(parameters::read(argument)?),
            (None, Some(_)) => json(if kind.is_endless() { ENDLESS_MS } else { 0 }.to_string()),
            (None, None) if kind.is_endless() && self.name.is_none() => {
                json(format!(r#"{{"ms": {run_ms}}}"#))
            }
            (None, None) => None,
        };
        let name = level_type.or_else(|| self.name.clone());
        let length = match self.tasks {
            Some(tasks) => LoadLength::Tasks(tasks),
            None => LoadLength::Time(Duration::from_millis(self.duration.millis())),
        };
        Ok(Load {
            kind,
            name: name.unwrap_or_else(|| default_name.parse().expect("a valid default type")),
            parameters,
            ttl,
            concurrency: self.concurrency,
            rate: self.rate,
            length,
        })
    }
}
