//! `tasker schedule`: tasks that are submitted again and again.

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use client::{NewSchedule, NewTask};
use domain::{
    MissedRuns, OverlappingRuns, Schedule, ScheduleError, ScheduleList, ScheduleName, ScheduleSummary,
    ScheduledTask, TaskId, Timestamp, Ttl, TypeName,
};
use serde::Serialize;

use crate::commands::connection_target::Server;
use crate::commands::task::{parameters, ttl};
use crate::config::environment::Environment;
use crate::terminal;

/// The subcommands of `tasker schedule`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Creates a schedule, or replaces the one of this name
    Set(Box<Set>),
    /// Lists your schedules
    List {
        #[command(flatten)]
        server: Server,
    },
    /// Shows a schedule
    Get(Named),
    /// Deletes a schedule; its tasks stay
    Delete(Named),
    /// Submits the task of a schedule now, and prints its id
    Run(Named),
    /// Pauses a schedule
    Pause(Named),
    /// Resumes a paused schedule
    Resume(Named),
}

/// Options of `tasker schedule set`.
#[derive(Debug, Args)]
pub struct Set {
    /// The schedule's name
    name: ScheduleName,
    /// The type of the task that each run submits
    #[arg(value_name = "TYPE")]
    type_name: TypeName,
    /// The parameters of the task: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    parameters: Option<String>,
    /// When it runs: minute, hour, day of the month, month and day of the week, or @daily and the like
    #[arg(long, value_name = "EXPRESSION", required_unless_present = "every")]
    cron: Option<String>,
    /// The time zone of --cron, such as Europe/Berlin; by default UTC
    #[arg(long, value_name = "NAME", requires = "cron")]
    time_zone: Option<String>,
    /// The time between two runs: 30s, 5m, 1h, 7d
    #[arg(long, value_name = "DURATION", value_parser = ttl::parse, conflicts_with = "cron")]
    every: Option<Ttl>,
    /// The time to live of the task, counted from its start: 500ms, 5s, 2m, 1h, 7d
    #[arg(long, value_parser = ttl::parse)]
    ttl: Option<Ttl>,
    /// How long the task may wait for a worker; by default as long as the server says
    #[arg(long, value_name = "DURATION", value_parser = ttl::parse)]
    start_within: Option<Ttl>,
    /// What happens about the runs of a time in which the server did not run
    #[arg(long, value_parser = missed_parser())]
    missed: Option<MissedRuns>,
    /// What happens at a time when the task of the last run has not ended
    #[arg(long, value_parser = overlap_parser())]
    overlap: Option<OverlappingRuns>,
    #[command(flatten)]
    server: Server,
}

/// Options of a command about one schedule.
#[derive(Debug, Args)]
pub struct Named {
    /// The schedule's name
    name: ScheduleName,
    #[command(flatten)]
    server: Server,
}

/// The answer to a run.
#[derive(Debug, Serialize)]
struct Submitted {
    id: TaskId,
}

fn missed_parser() -> impl TypedValueParser<Value = MissedRuns> {
    let names = MissedRuns::ALL.iter().map(|policy| policy.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<MissedRuns>())
}

fn overlap_parser() -> impl TypedValueParser<Value = OverlappingRuns> {
    let names = OverlappingRuns::ALL.iter().map(|policy| policy.as_str());
    PossibleValuesParser::new(names).try_map(|name| name.parse::<OverlappingRuns>())
}

impl Command {
    /// Sends the request and prints the answer.
    pub async fn run(self, environment: &Environment) -> Result<()> {
        match self {
            Self::Set(set) => set.run(environment).await?,
            Self::List { server } => {
                let found = server.connect(environment).await?.schedules().await?;
                let ids = |found: &ScheduleList| {
                    found.schedules.iter().map(|schedule| schedule.name.to_string()).collect()
                };
                server.output.print(&found, schedules_table, ids)?;
                if found.schedules.is_empty() {
                    terminal::print_note("no schedules");
                }
            }
            Self::Get(Named { name, server }) => {
                let schedule = server.connect(environment).await?.schedule(&name).await?;
                print(&server, &schedule)?;
            }
            Self::Delete(Named { name, server }) => {
                server.connect(environment).await?.delete_schedule(&name).await?;
                terminal::print_note(&format!("{name} is deleted"));
            }
            Self::Run(Named { name, server }) => {
                let id = server.connect(environment).await?.run_schedule(&name).await?;
                let text = |task: &Submitted| task.id.to_string();
                server.output.print(&Submitted { id }, text, |task| vec![text(task)])?;
            }
            Self::Pause(Named { name, server }) => {
                let schedule = server.connect(environment).await?.pause_schedule(&name).await?;
                print(&server, &schedule)?;
            }
            Self::Resume(Named { name, server }) => {
                let schedule = server.connect(environment).await?.resume_schedule(&name).await?;
                print(&server, &schedule)?;
            }
        }
        Ok(())
    }
}

impl Set {
    async fn run(self, environment: &Environment) -> Result<()> {
        let parameters = self.parameters.as_deref().map(parameters::read).transpose()?;
        let task = NewTask {
            parameters: parameters.as_ref(),
            ttl: self.ttl,
            start_within_ms: self.start_within.map(Ttl::millis),
            ..NewTask::of_type(&self.type_name)
        };
        let schedule = NewSchedule {
            cron: self.cron.as_deref(),
            time_zone: self.time_zone.as_deref(),
            every_ms: self.every.map(Ttl::millis),
            task,
            missed: self.missed,
            overlap: self.overlap,
        };
        let client = self.server.connect(environment).await?;
        print(&self.server, &client.put_schedule(&self.name, &schedule).await?)?;
        Ok(())
    }
}

fn print(server: &Server, schedule: &Schedule) -> std::io::Result<()> {
    server.output.print(schedule, schedule_details, |schedule| vec![schedule.name.to_string()])
}

/// When a schedule runs, as it was given to `tasker schedule set`.
fn times(cron: Option<&str>, time_zone: Option<&str>, every_ms: Option<u64>) -> String {
    match (cron, time_zone, every_ms) {
        (Some(cron), Some(time_zone), _) => format!("{} {time_zone}", terminal::escape_line(cron)),
        (_, _, Some(every_ms)) => format!("every {every_ms} ms"),
        _ => String::new(),
    }
}

/// What became of the last run; empty if there was none.
fn last_run(task: Option<&ScheduledTask>, error: Option<&ScheduleError>) -> String {
    match (error, task) {
        (Some(error), _) => format!("{}: {}", error.date, terminal::escape_line(&error.detail)),
        (None, Some(task)) => format!("{}: task {}", task.scheduled_for, task.id),
        (None, None) => String::new(),
    }
}

fn schedules_table(ScheduleList { schedules }: &ScheduleList) -> String {
    let width = |of: fn(&ScheduleSummary) -> usize| schedules.iter().map(of).max().unwrap_or(0);
    let names = width(|schedule| schedule.name.as_str().len());
    let types = width(|schedule| schedule.type_name.as_str().len());
    let line = |schedule: &ScheduleSummary| {
        let next = match schedule.next_run {
            Some(next) => next.to_string(),
            None if schedule.paused => "paused".to_owned(),
            None => "no next run".to_owned(),
        };
        let times = times(schedule.cron.as_deref(), schedule.time_zone.as_deref(), schedule.every_ms);
        let error = schedule.last_error.as_ref().map_or("", |_| "  (the last run submitted no task)");
        let (name, kind) = (schedule.name.as_str(), schedule.type_name.as_str());
        format!("{name:<names$}  {kind:<types$}  {next:<24}  {times}{error}")
    };
    schedules.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn schedule_details(schedule: &Schedule) -> String {
    let next = schedule.next_runs.iter().map(Timestamp::to_string).collect::<Vec<_>>().join(", ");
    let state = if schedule.paused { "paused" } else { "active" };
    let lines = [
        ("name", schedule.name.to_string()),
        ("runs", times(schedule.cron.as_deref(), schedule.time_zone.as_deref(), schedule.every_ms)),
        ("task", terminal::indent(schedule.task.text(), 12)),
        ("missed", schedule.missed.to_string()),
        ("overlap", schedule.overlap.to_string()),
        ("state", state.to_owned()),
        ("created", schedule.creation_date.to_string()),
        ("next runs", next),
        ("last run", last_run(schedule.last_task.as_ref(), schedule.last_error.as_ref())),
    ];
    let lines = lines.iter().filter(|(_, value)| !value.is_empty());
    lines.map(|(name, value)| format!("{name:<10}  {value}")).collect::<Vec<_>>().join("\n")
}
