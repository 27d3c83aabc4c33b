//! `tasker migrate`: brings the tables of tasks to this version, and leaves.

use anyhow::Result;
use store::{Db, StoreError, TASKS};

use crate::command::Sources;
use crate::config::{Environment, Layers};
use crate::exit::Exit;
use crate::{show, telemetry, wait};

/// Migrates when the database is there, and says what it did.
pub async fn run(sources: &Sources, environment: &Environment) -> Result<Exit> {
    let config = sources.load(Layers::default(), environment)?;
    let db = Db::open(config.database_url()?)?;
    telemetry::start(&config.log, environment)?;
    super::until_stopped(async |stop| {
        let migrate = async || TASKS.migrate(&db).await;
        let there =
            wait::until_there("the database of tasks", &stop, StoreError::is_unavailable, migrate).await?;
        if there.is_some() {
            show::line(&format!("the tables of {} are at version {}", TASKS.name, TASKS.steps.len()))?;
        }
        db.close().await;
        Ok(())
    })
    .await
}
