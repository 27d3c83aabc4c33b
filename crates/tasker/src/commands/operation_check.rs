//! `tasker operation check`: checks the operations that a file or the settings declare, and runs one of them once.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::{RawJson, Ttl};
use serde::Serialize;
use worker::{CheckedDeclaration, DeclarationSummary, Operations, Trial, TrialEnd};

use crate::command_error::NotFound;
use crate::commands::output::ReportFormat;
use crate::commands::task::{parameters, ttl};
use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::layers::Layers;
use crate::exit_code::Exit;
use crate::services::worker_operations;
use crate::terminal;

/// The subcommands of `tasker operation`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Checks declarations of operations: exit code 0, or 2 if one is invalid
    Check(Check),
}

/// Options of `tasker operation check`.
#[derive(Debug, Args)]
pub struct Check {
    /// A TOML file that declares operations, or the type of one that the settings declare [default: all that the settings
    /// declare]
    #[arg(value_name = "FILE_OR_TYPE")]
    subject: Option<String>,
    /// Also run the operation once with these parameters: JSON, @FILE, or - for standard input; exit code 0 if it has a result
    #[arg(long, value_name = "JSON", requires = "subject")]
    parameters: Option<String>,
    /// The time to live of that run [default: that of the declaration, or 1m]
    #[arg(long, value_name = "DURATION", value_parser = ttl::parse, requires = "parameters")]
    ttl: Option<Ttl>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    output: ReportFormat,
    #[command(flatten)]
    sources: Sources,
}

/// A declaration in the output.
#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    summary: DeclarationSummary,
    /// Where the declaration is written.
    place: String,
    /// The rules that it breaks.
    errors: Vec<String>,
    /// How it ended when it was run once.
    #[serde(skip_serializing_if = "Option::is_none")]
    trial: Option<TrialReport>,
}

/// A run of an operation in the output. It has expired if it has neither a result nor an error.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TrialReport {
    took_ms: u64,
    result: Option<RawJson>,
    error: Option<String>,
}

/// The time to live of a run if neither the command line nor the declaration names one, in milliseconds.
const DEFAULT_TRIAL_TTL_MS: u64 = 60_000;

impl Command {
    /// Runs the subcommand.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let Self::Check(check) = self;
        check.run(environment).await
    }
}

impl Check {
    /// Checks the declarations, runs one of them if there are parameters, and prints each.
    async fn run(self, environment: &Environment) -> Result<Exit> {
        let declarations = self.find(environment)?;
        let mut reports: Vec<Report> = declarations.iter().map(Report::of).collect();
        if let Some(parameters) = &self.parameters {
            let parameters = parameters::read(parameters)?;
            for (report, declaration) in reports.iter_mut().zip(declarations) {
                report.trial = self.try_once(declaration, &parameters).await?;
            }
        }
        match self.output {
            ReportFormat::Json => terminal::print_line(&serde_json::to_string(&reports)?)?,
            ReportFormat::Table if reports.is_empty() => terminal::print_note("no operations are declared"),
            ReportFormat::Table => {
                let texts: Vec<String> = reports.iter().map(Report::text).collect();
                terminal::print_line(&texts.join("\n"))?;
            }
        }
        let is_valid = reports.iter().all(|report| report.errors.is_empty());
        let trials = reports.iter().filter_map(|report| report.trial.as_ref());
        Ok(if is_valid {
            trials.map(TrialReport::exit).find(|exit| *exit != Exit::Done).unwrap_or(Exit::Done)
        } else {
            Exit::Usage
        })
    }

    /// Runs the operation of a declaration that is valid once.
    async fn try_once(
        &self,
        declaration: CheckedDeclaration,
        parameters: &RawJson,
    ) -> Result<Option<TrialReport>> {
        let Ok(operation) = declaration.checked else { return Ok(None) };
        let name = operation.specification().name.clone();
        let default = || DEFAULT_TRIAL_TTL_MS.try_into().expect("a valid time to live");
        let ttl = self.ttl.or(operation.specification().ttl.default).unwrap_or_else(default);
        let operations = Operations::new().with_declared(vec![operation])?;
        let trial = operations.try_once(&name, parameters.clone(), ttl).await?;
        Ok(trial.map(TrialReport::from))
    }

    /// The declarations that the command line names.
    fn find(&self, environment: &Environment) -> Result<Vec<CheckedDeclaration>> {
        if let Some(file) = self.subject.as_deref().and_then(file) {
            return Ok(worker_operations::check_file(&file, environment)?);
        }
        let config = self.sources.load(Layers::default(), environment)?;
        let mut declared = worker_operations::check_settings(&config.worker, environment)?;
        if let Some(name) = &self.subject {
            declared.retain(|checked| checked.declaration.name.as_str() == name);
            if declared.is_empty() {
                let absent =
                    format!("the settings declare no operation {name}, and there is no file of this name");
                return Err(NotFound(absent).into());
            }
        }
        Ok(declared)
    }
}

/// The file that the argument names: one that exists, or whose name no type can have or should have.
fn file(argument: &str) -> Option<PathBuf> {
    let path = Path::new(argument);
    (path.is_file() || argument.contains('/') || path.extension().is_some_and(|end| end == "toml"))
        .then(|| path.to_owned())
}

impl Report {
    fn of(declaration: &CheckedDeclaration) -> Self {
        let errors = match &declaration.checked {
            Ok(_) => Vec::new(),
            Err(error) => error.sentences().to_vec(),
        };
        Self { summary: declaration.summary(), place: declaration.place.to_string(), errors, trial: None }
    }

    /// The declaration as lines for people.
    fn text(&self) -> String {
        let Self { summary, place, errors, trial } = self;
        let isolation = summary.isolation.map_or("-", domain::ExecutionIsolation::as_str);
        let verdict = if errors.is_empty() { "ok" } else { "BAD" };
        let mut text = format!("{}  v{}  {isolation}  {verdict}", summary.name, summary.version);
        let mut line = |key: &str, value: &str| {
            let _ = write!(text, "\n  {key:<9} {}", terminal::indent(value, 12));
        };
        line("declared", place);
        if let Some(run) = &summary.run {
            line("run", &run.join(" "));
        }
        if let Some(url) = &summary.url {
            line("url", url);
        }
        let ttl = |ttl: Option<Ttl>| ttl.map_or_else(|| "-".to_owned(), |ttl| format!("{} ms", ttl.millis()));
        line("ttl", &format!("default {}, max {}", ttl(summary.default_ttl_ms), ttl(summary.max_ttl_ms)));
        let limits: Vec<String> =
            summary.limits.iter().map(|(key, limit)| format!("{key} {limit}")).collect();
        if !limits.is_empty() {
            line("limits", &limits.join(", "));
        }
        for error in errors {
            line("error", error);
        }
        if let Some(TrialReport { took_ms, result, error }) = trial {
            line("took", &format!("{took_ms} ms"));
            match (result, error) {
                (Some(result), _) => line("result", result.text()),
                (None, Some(error)) => line("failed", error),
                (None, None) => line("expired", "it was stopped at its deadline"),
            }
        }
        text
    }
}

impl TrialReport {
    fn exit(&self) -> Exit {
        match (&self.result, &self.error) {
            (Some(_), _) => Exit::Done,
            (None, Some(_)) => Exit::Failed,
            (None, None) => Exit::Expired,
        }
    }
}

impl From<Trial> for TrialReport {
    fn from(Trial { end, took }: Trial) -> Self {
        let (result, error) = match end {
            TrialEnd::Result(result) => (Some(result), None),
            TrialEnd::Failed(error) => (None, Some(error)),
            TrialEnd::Expired => (None, None),
        };
        Self { took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX), result, error }
    }
}
