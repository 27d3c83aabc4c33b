//! `tasker config check`: whether the settings hold, and what they name is there.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::commands::config::show::Form;
use crate::commands::probes::{self, Found, Role, Scope};
use crate::config::{Environment, Layers};
use crate::exit_code::Exit;
use crate::terminal;

/// A probe that has ended.
#[derive(Serialize)]
struct Probed {
    probe: &'static str,
    ok: bool,
    said: String,
}

/// What has been probed so far, and how it is told.
struct Findings {
    form: Form,
    all: Vec<Probed>,
}

/// Tries one thing after the other, and prints each as it ends. Exit code 2 if something is wrong.
pub async fn run(scope: Scope, environment: &Environment) -> Result<Exit> {
    let Scope { role, output, sources } = scope;
    let config = sources.load(Layers::default(), environment)?;
    let mut findings = Findings { form: output, all: Vec::new() };
    findings.tell("settings", probes::rules(&config, role));
    let mut queues = BTreeSet::new();
    if role.has(Role::Backend) {
        let (found, db) = probes::tasks(&config).await;
        findings.tell("database.url", found);
        if let Some(db) = db {
            queues = probes::queues(&db).await;
            probes::close(db).await;
        }
    }
    if role.has(Role::Identity) {
        let (found, db) = probes::accounts(&config).await;
        findings.tell(config.accounts_setting(), found);
        if let Some(db) = db {
            probes::close(db).await;
        }
    }
    probes::neighbours(&config, role, &queues, |probe, found| findings.tell(probe, found)).await;
    if output == Form::Json {
        terminal::line(&serde_json::to_string(&findings.all)?)?;
    }
    Ok(if findings.all.iter().all(|probed| probed.ok) { Exit::Done } else { Exit::Usage })
}

impl Findings {
    fn tell(&mut self, probe: &'static str, found: Found) {
        let probed = Probed { probe, ok: found.is_ok(), said: found.unwrap_or_else(|said| said) };
        if self.form == Form::Table {
            let mark = if probed.ok { "ok " } else { "BAD" };
            // Whoever reads no longer does not need to be told.
            let _ = terminal::line(&format!("{mark}  {probe:<22}  {}", terminal::plain(&probed.said)));
        }
        self.all.push(probed);
    }
}
