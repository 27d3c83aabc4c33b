//! `tasker doctor`: checks an installation for what fails or will fail soon: versions, clocks, permissions, certificates,
//! keys, topics, disk space.

pub(crate) mod databases;
pub(crate) mod files;
pub(crate) mod finding;
pub(crate) mod topics_and_clocks;

use std::collections::BTreeSet;

use anyhow::Result;

use crate::commands::checks::{self, Scope, Service};
use crate::commands::doctor::finding::{Finding, Verdict};
use crate::commands::output::ReportFormat;
use crate::config::environment::Environment;
use crate::config::layers::Layers;
use crate::exit_code::Exit;
use crate::terminal;

/// The findings so far, and the format in which they are printed.
struct Findings {
    format: ReportFormat,
    all: Vec<Finding>,
}

/// Runs one check after the other and prints each finding. Exit code 1 if one is bad.
pub async fn run(scope: Scope, environment: &Environment) -> Result<Exit> {
    let Scope { service, output, sources } = scope;
    let layers = sources.layers(Layers::default(), environment)?;
    let config = layers.build()?;
    let mut findings = Findings { format: output, all: Vec::new() };
    findings.add([Finding::new("tasker", Verdict::Ok, concat!("version ", env!("CARGO_PKG_VERSION")))]);
    findings.add([Finding::of("settings", checks::check_settings(&config, service))]);
    findings.add(files::secrets(&config, &layers, environment, service));
    findings.add(files::certificates(&config, service));
    let mut queues = BTreeSet::new();
    if service.includes(Service::Backend) {
        let (found, known) = databases::check_tasks_database(&config).await;
        findings.add(found);
        queues = known;
    }
    if service.includes(Service::Identity) {
        findings.add(databases::accounts(&config).await);
    }
    if service != Service::Worker {
        findings.add(files::disk_space(&config));
    }
    let report = |subject, result| findings.add([Finding::of(subject, result)]);
    let kafka = checks::dependencies(&config, service, &queues, report).await;
    findings.add(kafka.map(|kafka| topics_and_clocks::topics(&kafka, &config)).unwrap_or_default());
    findings.add(topics_and_clocks::clocks(&config, service).await);
    if output == ReportFormat::Json {
        terminal::print_line(&serde_json::to_string(&findings.all)?)?;
    }
    let is_bad = findings.all.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if is_bad { Exit::Error } else { Exit::Done })
}

impl Findings {
    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            if self.format == ReportFormat::Table {
                let mark = match finding.verdict {
                    Verdict::Ok => "ok  ",
                    Verdict::Warn => "warn",
                    Verdict::Bad => "BAD ",
                };
                let (subject, message) = (&finding.subject, terminal::escape_control_chars(&finding.message));
                // A closed pipe does not end the checks: the exit code still counts.
                let _ = terminal::print_line(&format!("{mark}  {subject:<22}  {message}"));
            }
            self.all.push(finding);
        }
    }
}
