//! `tasker doctor`: checks an installation for what fails or will fail soon: versions, clocks, permissions, certificates,
//! keys, topics, disk space.

pub(crate) mod databases;
pub(crate) mod files;
pub(crate) mod finding;
pub(crate) mod installation;
pub(crate) mod stop_means;
pub(crate) mod topics_and_clocks;

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::commands::checks::{self, Scope, Service};
use crate::commands::doctor::finding::{Finding, Verdict};
use crate::commands::doctor::installation::Installation;
use crate::commands::output::ReportFormat;
use crate::config::environment::Environment;
use crate::exit_code::Exit;
use crate::terminal;

/// Options of `tasker doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The data directory of a `tasker up` on this machine [default: ./.tasker, if one runs there and the
    /// settings name neither a database nor a worker's account]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    scope: Scope,
}

/// The findings so far, and the format in which they are printed.
struct Findings {
    format: ReportFormat,
    all: Vec<Finding>,
}

/// Runs one check after the other and prints each finding. Exit code 1 if one is bad.
pub async fn run(doctor: Doctor, environment: &Environment) -> Result<Exit> {
    let Doctor { data_dir, scope: Scope { service, output, sources } } = doctor;
    let Installation { layers, config, deployment, password_file, finding } =
        Installation::find(data_dir.as_deref(), &sources, environment)?;
    let mut findings = Findings { format: output, all: Vec::new() };
    findings.add([Finding::new("tasker", Verdict::Ok, concat!("version ", env!("CARGO_PKG_VERSION")))]);
    findings.add([finding]);
    findings.add([Finding::of("settings", checks::check_settings(&config, service, environment))]);
    findings.add(files::secrets(&config, &layers, environment, service));
    findings.add(password_file.map(|path| files::secret_file("account local", &path)));
    findings.add(files::certificates(&config, service));
    let mut queues = BTreeSet::new();
    if service.includes(Service::Backend) {
        let (found, known) = databases::check_tasks_database(&config).await;
        findings.add(found);
        queues = known;
    }
    if service.includes(Service::Identity) {
        findings.add(databases::check_accounts_database(&config).await);
    }
    if service != Service::Worker {
        findings.add(files::disk_space(&config));
    }
    if service.includes(Service::Worker) {
        findings.add(stop_means::check(&config.worker, environment));
    }
    let report = |subject, result| findings.add([Finding::of(subject, result)]);
    let kafka = checks::dependencies(&config, service, deployment, &queues, report).await;
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
                let (subject, message) = (&finding.subject, terminal::indent(&finding.message, 6));
                // A closed pipe does not end the checks: the exit code still counts.
                let _ = terminal::print_line(&format!("{mark}  {subject:<22}  {message}"));
            }
            self.all.push(finding);
        }
    }
}
