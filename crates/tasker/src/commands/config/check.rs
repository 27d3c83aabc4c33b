//! `tasker config check`: whether the settings are valid, and whether what they name can be reached.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::commands::checks::{self, Deployment, ProbeResult, Scope, Service};
use crate::commands::output::ReportFormat;
use crate::config::environment::Environment;
use crate::config::layers::Layers;
use crate::exit_code::Exit;
use crate::terminal;

/// A check in the output.
#[derive(Serialize)]
struct Check {
    /// The setting, or the part of Tasker that was checked.
    probe: &'static str,
    /// Whether the check succeeded.
    ok: bool,
    /// What was found, or what is wrong and how to correct it.
    message: String,
}

/// The results so far, and the format in which they are printed.
struct Checks {
    format: ReportFormat,
    all: Vec<Check>,
}

/// Runs one check after the other and prints each when it ends. Exit code 2 if one fails.
pub async fn run(scope: Scope, environment: &Environment) -> Result<Exit> {
    let Scope { service, output, sources } = scope;
    let config = sources.load(Layers::default(), environment)?;
    let mut report = Checks { format: output, all: Vec::new() };
    report.add("settings", checks::check_settings(&config, service, environment));
    let mut queues = BTreeSet::new();
    if service.includes(Service::Backend) {
        let (result, db) = checks::tasks_database(&config).await;
        report.add("database.url", result);
        if let Some(db) = db {
            queues = checks::queues(&db).await;
            checks::close(db).await;
        }
    }
    if service.includes(Service::Identity) {
        let (result, db) = checks::accounts_database(&config).await;
        report.add(config.accounts_setting(), result);
        if let Some(db) = db {
            checks::close(db).await;
        }
    }
    checks::dependencies(&config, service, Deployment::Apart, &queues, |probe, result| {
        report.add(probe, result);
    })
    .await;
    if output == ReportFormat::Json {
        terminal::print_line(&serde_json::to_string(&report.all)?)?;
    }
    Ok(if report.all.iter().all(|check| check.ok) { Exit::Done } else { Exit::Usage })
}

impl Checks {
    fn add(&mut self, probe: &'static str, result: ProbeResult) {
        let check = Check { probe, ok: result.is_ok(), message: result.unwrap_or_else(|message| message) };
        if self.format == ReportFormat::Table {
            let mark = if check.ok { "ok " } else { "BAD" };
            let message = terminal::indent(&check.message, 4);
            // A closed pipe does not end the checks: the exit code still counts.
            let _ = terminal::print_line(&format!("{mark}  {probe:<22}  {message}"));
        }
        self.all.push(check);
    }
}
