//! `tasker migrate`: migrates the databases of tasks and of accounts to this version, and exits.

use anyhow::Result;
use database::DatabaseError;
use identity::IDENTITY_SCHEMA;
use store::TASKS_SCHEMA;

use crate::config::command_line::Sources;
use crate::config::databases::start_error;
use crate::config::environment::Environment;
use crate::config::layers::Layers;
use crate::exit_code::Exit;
use crate::observability::logging;
use crate::server::plaintext_warnings;
use crate::services::lifecycle::{Hangup, Stop, until_stopped};
use crate::services::startup_retry::retry_until_available;
use crate::terminal;

/// Migrates as soon as each database answers, and prints the versions.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    let parts = [
        ("database.url", TASKS_SCHEMA, config.open_tasks()?),
        (config.accounts_setting(), IDENTITY_SCHEMA, config.open_accounts()?),
    ];
    let _logging = logging::start(&config.log, environment)?;
    plaintext_warnings::warn_about_tasks_database(&config);
    if config.accounts_setting() != "database.url" {
        plaintext_warnings::warn_about_accounts_database(&config);
    }
    until_stopped(Hangup::Reloads, async |Stop { begun: stop, .. }| {
        for (setting, part, db) in &parts {
            let migrate = async || part.migrate(db).await;
            let what = format!("the database of {}", part.name);
            let migrated = retry_until_available(what, &stop, DatabaseError::is_unavailable, migrate).await;
            if migrated.map_err(|error| start_error(setting, error))?.is_none() {
                break;
            }
            terminal::print_line(&format!(
                "the tables of {} are at version {}",
                part.name,
                part.steps.len()
            ))?;
            db.close().await;
        }
        Ok(())
    })
    .await
}
