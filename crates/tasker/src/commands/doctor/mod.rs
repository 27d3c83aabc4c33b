//! `tasker doctor`: what of an installation is about to go wrong: versions, clocks, rights, certificates, keys, topics, room.

pub(crate) mod databases;
pub(crate) mod files;
pub(crate) mod finding;
pub(crate) mod topics_and_clocks;

use std::collections::BTreeSet;

use anyhow::Result;

use crate::commands::config::show::Form;
use crate::commands::doctor::finding::{Finding, Verdict};
use crate::commands::probes::{self, Role, Scope};
use crate::config::{Environment, Layers};
use crate::exit_code::Exit;
use crate::terminal;

/// What has been found so far, and how it is told.
struct Findings {
    form: Form,
    all: Vec<Finding>,
}

/// Looks at one thing after the other, and prints each. Exit code 1 if something is bad.
pub async fn run(scope: Scope, environment: &Environment) -> Result<Exit> {
    let Scope { role, output, sources } = scope;
    let layers = sources.layers(Layers::default(), environment)?;
    let config = layers.build()?;
    let mut findings = Findings { form: output, all: Vec::new() };
    findings.tell([Finding::new("tasker", Verdict::Ok, concat!("version ", env!("CARGO_PKG_VERSION")))]);
    findings.tell([Finding::of("settings", probes::rules(&config, role))]);
    findings.tell(files::secrets(&config, &layers, environment, role));
    findings.tell(files::certificates(&config, role));
    let mut queues = BTreeSet::new();
    if role.has(Role::Backend) {
        let (told, known) = databases::tasks(&config).await;
        findings.tell(told);
        queues = known;
    }
    if role.has(Role::Identity) {
        findings.tell(databases::accounts(&config).await);
    }
    if role != Role::Worker {
        findings.tell(files::room(&config));
    }
    let told = |about, found| findings.tell([Finding::of(about, found)]);
    let kafka = probes::neighbours(&config, role, &queues, told).await;
    findings.tell(kafka.map(|kafka| topics_and_clocks::topics(&kafka, &config)).unwrap_or_default());
    findings.tell(topics_and_clocks::clocks(&config, role).await);
    if output == Form::Json {
        terminal::line(&serde_json::to_string(&findings.all)?)?;
    }
    let is_bad = findings.all.iter().any(|finding| finding.verdict == Verdict::Bad);
    Ok(if is_bad { Exit::Error } else { Exit::Done })
}

impl Findings {
    fn tell(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            if self.form == Form::Table {
                let mark = match finding.verdict {
                    Verdict::Ok => "ok  ",
                    Verdict::Warn => "warn",
                    Verdict::Bad => "BAD ",
                };
                // Whoever reads no longer does not need to be told.
                let _ = terminal::line(&format!(
                    "{mark}  {:<22}  {}",
                    finding.about,
                    terminal::plain(&finding.said)
                ));
            }
            self.all.push(finding);
        }
    }
}
