//! What may wait: the catalogue and the clock are read anew, and what is old enough is forgotten, beside the sweep.

use std::error::Error;
use std::time::Duration;

use database::DatabaseError;
use telemetry::error_chain;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::kafka::ticket_republisher;

/// How often ended tasks that are old enough are forgotten, and how many at once.
const PRUNE: Duration = Duration::from_mins(1);
const PRUNE_BATCH: u32 = 500;

/// Reads anew what this process remembers of the database until `stop`, each `check_period`.
pub(crate) async fn refresh(app: App, stop: CancellationToken) {
    let mut check = interval(app.settings.check_period);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut clock, mut catalogue) =
        (OutageLog::with("the database's clock"), OutageLog::with("the catalogue"));
    while stop.run_until_cancelled(check.tick()).await.is_some() {
        // Neither waits for the other to succeed.
        clock.heard(&app.store.learn_clock().await);
        catalogue.heard(&app.catalogue.reload(&app.store).await);
        app.bells.tidy();
        if let Some(broker) = &app.broker {
            ticket_republisher::ensure_topics(&app, broker);
        }
    }
}

/// Forgets ended tasks that are old enough until `stop`.
pub(crate) async fn forget(app: App, stop: CancellationToken) {
    let mut prune = interval(PRUNE);
    prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut trouble = OutageLog::with("forgetting old tasks");
    while stop.run_until_cancelled(prune.tick()).await.is_some() {
        trouble.heard(&forget_all(&app, &stop).await);
    }
}

async fn forget_all(app: &App, stop: &CancellationToken) -> Result<(), DatabaseError> {
    let before = app.ago(app.settings.keep_ended);
    let mut forgotten = 0;
    loop {
        let began = Instant::now();
        let gone = app.store.prune(before, PRUNE_BATCH).await?;
        forgotten += gone;
        // A breath as long as the batch took: however long the backlog, half the time is left to what is in a hurry.
        let breath = stop.run_until_cancelled(tokio::time::sleep(began.elapsed()));
        if gone < u64::from(PRUNE_BATCH) || breath.await.is_none() {
            break;
        }
    }
    if forgotten > 0 {
        tracing::info!(tasks = forgotten, "forgot ended tasks that were old enough");
    }
    Ok(())
}

/// Says once that something fails, and once that it works again.
#[derive(Debug)]
pub(crate) struct OutageLog {
    what: &'static str,
    lasts: bool,
}

impl OutageLog {
    pub(crate) fn with(what: &'static str) -> Self {
        Self { what, lasts: false }
    }

    pub(crate) fn heard(&mut self, done: &Result<(), DatabaseError>) {
        match done {
            Ok(()) => self.passed(),
            Err(error) => self.failed(error),
        }
    }

    pub(crate) fn failed(&mut self, error: &(dyn Error + 'static)) {
        if !std::mem::replace(&mut self.lasts, true) {
            tracing::warn!(error = %error_chain(error), "{}: it failed; it is tried again", self.what);
        }
    }

    pub(crate) fn passed(&mut self) {
        if std::mem::take(&mut self.lasts) {
            tracing::info!("{}: it works again", self.what);
        }
    }
}
