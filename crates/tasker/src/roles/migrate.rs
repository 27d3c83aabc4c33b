//! `tasker migrate`: brings the tables of tasks and of accounts to this version, and leaves.

use anyhow::Result;
use identity::ACCOUNTS;
use store::{StoreError, TASKS};

use crate::config::{Environment, Layers, Sources};
use crate::exit::Exit;
use crate::{plaintext, show, telemetry, wait};

/// Migrates when the database is there, and says what it did.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    let parts = [(TASKS, config.open_tasks()?), (ACCOUNTS, config.open_accounts()?)];
    let _log = telemetry::start(&config.log, environment)?;
    plaintext::tell_tasks(&config);
    if config.accounts_setting() != "database.url" {
        plaintext::tell_accounts(&config);
    }
    super::until_stopped(async |stop| {
        for (part, db) in &parts {
            let migrate = async || part.migrate(db).await;
            let what = format!("the database of {}", part.name);
            if wait::until_there(what, &stop, StoreError::is_unavailable, migrate).await?.is_none() {
                break;
            }
            show::line(&format!("the tables of {} are at version {}", part.name, part.steps.len()))?;
            db.close().await;
        }
        Ok(())
    })
    .await
}
