//! `tasker operation check`: checks the operations that a file or the settings declare, and runs one of them once.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, Subcommand};
use domain::Ttl;
use serde::Serialize;
use worker::{CheckedDeclaration, DeclarationSummary};

use crate::command_error::NotFound;
use crate::commands::output::ReportFormat;
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
}

impl Command {
    /// Runs the subcommand.
    pub fn run(self, environment: &Environment) -> Result<Exit> {
        let Self::Check(check) = self;
        check.run(environment)
    }
}

impl Check {
    /// Checks the declarations and prints each.
    fn run(self, environment: &Environment) -> Result<Exit> {
        let reports: Vec<Report> = self.find(environment)?.iter().map(Report::of).collect();
        match self.output {
            ReportFormat::Json => terminal::print_line(&serde_json::to_string(&reports)?)?,
            ReportFormat::Table if reports.is_empty() => terminal::print_note("no operations are declared"),
            ReportFormat::Table => {
                let texts: Vec<String> = reports.iter().map(Report::text).collect();
                terminal::print_line(&texts.join("\n"))?;
            }
        }
        let is_valid = reports.iter().all(|report| report.errors.is_empty());
        Ok(if is_valid { Exit::Done } else { Exit::Usage })
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
        Self { summary: declaration.declaration.summary(), place: declaration.place.to_string(), errors }
    }

    /// The declaration as lines for people.
    fn text(&self) -> String {
        let Self { summary, place, errors } = self;
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
        text
    }
}
