//! `tasker migrate`: brings the tables of tasks and of accounts to this version, and leaves.

use anyhow::Result;
use database::DatabaseError;
use identity::ACCOUNTS;
use store::TASKS;

use crate::config::{Environment, Layers, Sources};
use crate::exit_code::Exit;
use crate::observability::logging;
use crate::server::plaintext_warnings;
use crate::services::startup_retry;
use crate::terminal;

/// Migrates when the database is there, and says what it did.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    let parts = [(TASKS, config.open_tasks()?), (ACCOUNTS, config.open_accounts()?)];
    let _log = logging::start(&config.log, environment)?;
    plaintext_warnings::tell_tasks(&config);
    if config.accounts_setting() != "database.url" {
        plaintext_warnings::tell_accounts(&config);
    }
    crate::services::lifecycle::until_stopped(async |stop| {
        for (part, db) in &parts {
            let migrate = async || part.migrate(db).await;
            let what = format!("the database of {}", part.name);
            if startup_retry::retry_until_available(what, &stop, DatabaseError::is_unavailable, migrate)
                .await?
                .is_none()
            {
                break;
            }
            terminal::line(&format!("the tables of {} are at version {}", part.name, part.steps.len()))?;
            db.close().await;
        }
        Ok(())
    })
    .await
}
