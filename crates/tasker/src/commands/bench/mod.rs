//! `tasker bench`: loads a server as a signed-in user, measures, and checks at the end that nothing was lost.

pub(crate) mod load;
pub(crate) mod reconciliation;
pub(crate) mod report;

use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::{RawJson, Ttl, TypeName};

use crate::commands::{Server, parse_ttl};
use crate::config::Environment;
use crate::exit_code::Exit;

use crate::commands::bench::load::Load;
use crate::commands::bench::reconciliation::Reconciliation;
use crate::commands::bench::report::Report;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// How quickly tasks are accepted
    Submit(Plan),
    /// How quickly tasks are done, from their submission to their end
    Run(Plan),
    /// How exactly tasks that outlast their time are ended
    Ttl(Plan),
}

/// How much, for how long.
#[derive(Debug, Args)]
pub struct Plan {
    /// So many at a time, each after the last one has ended
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    concurrency: u32,
    /// So many a second instead, whatever becomes of those before; times are counted from when each should have begun
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: Option<u32>,
    /// For how long
    #[arg(long, default_value = "10s", value_parser = parse_ttl)]
    duration: Ttl,
    /// Which operation [default: ECHO; for `ttl` SLEEP]
    #[arg(long = "type", value_name = "TYPE")]
    name: Option<TypeName>,
    /// Its parameters [default: none; for `ttl` ten times the life]
    #[arg(long, value_name = "JSON")]
    parameters: Option<String>,
    /// The life of each task [default: 1m; for `ttl` 500ms]
    #[arg(long, value_parser = parse_ttl)]
    ttl: Option<Ttl>,
    #[command(flatten)]
    server: Server,
}

/// What is measured of each task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Its submission.
    Submission,
    /// Its whole life.
    Life,
    /// How late its end came after its deadline.
    Lateness,
}

impl Measure {
    /// The command that measures it.
    const fn word(self) -> &'static str {
        match self {
            Self::Submission => "submit",
            Self::Life => "run",
            Self::Lateness => "ttl",
        }
    }

    /// What its times are.
    const fn times(self) -> &'static str {
        match self {
            Self::Submission => "until accepted",
            Self::Life => "until ended",
            Self::Lateness => "after the deadline",
        }
    }

    /// The usual type, and its life in milliseconds.
    const fn usual(self) -> (&'static str, u64) {
        match self {
            Self::Submission | Self::Life => ("ECHO", 60_000),
            Self::Lateness => ("SLEEP", 500),
        }
    }
}

impl Command {
    /// Loads, measures, checks, prints.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let (measure, plan) = match self {
            Self::Submit(plan) => (Measure::Submission, plan),
            Self::Run(plan) => (Measure::Life, plan),
            Self::Ttl(plan) => (Measure::Lateness, plan),
        };
        plan.run(measure, environment).await
    }
}

impl Plan {
    async fn run(self, measure: Measure, environment: &Environment) -> Result<Exit> {
        let client = self.server.connect(environment)?;
        let load = self.load(measure)?;
        // Whoever may not submit, or asks for what is not there, hears of it before the load.
        load.probe(&client).await?;
        let measured = load.run(&client).await;
        let books = Reconciliation::check(&client, &measured.accepted, measure).await;
        let report = Report::of(measure, &load, &measured, &books);
        self.server.output.print(&report, Report::table, |_| Vec::new())?;
        Ok(if books.are_right() && measured.errors == 0 { Exit::Done } else { Exit::Error })
    }

    fn load(&self, measure: Measure) -> Result<Load> {
        let (name, ttl) = measure.usual();
        let name = self.name.clone().unwrap_or_else(|| name.parse().expect("a type of ours"));
        let ttl = self.ttl.unwrap_or_else(|| ttl.try_into().expect("a life of ours"));
        let parameters = match (&self.parameters, measure) {
            (Some(given), _) => Some(crate::commands::read_parameters(given)?),
            (None, Measure::Lateness) if self.name.is_none() => {
                let text = format!(r#"{{"ms": {}}}"#, ttl.millis().saturating_mul(10));
                Some(RawJson::parse(text).expect("JSON of ours"))
            }
            (None, _) => None,
        };
        Ok(Load {
            measure,
            name,
            parameters,
            ttl,
            concurrency: self.concurrency,
            rate: self.rate,
            duration: Duration::from_millis(self.duration.millis()),
        })
    }
}
