//! What `tasker doctor` looks at in the databases: whose version their tables have, their clocks, the signing keys.

use std::collections::BTreeSet;

use database::{Clock, Db, SchemaPart};
use domain::QueueName;
use identity::{ACCOUNTS, KeyFileState};
use store::TASKS;

use crate::commands::doctor::finding::{Finding, Verdict};
use crate::commands::doctor::topics_and_clocks;
use crate::commands::probes::{self, Found};
use crate::config::Config;

/// The database of tasks, and the queues that its catalogue knows.
pub async fn tasks(config: &Config) -> (Vec<Finding>, BTreeSet<QueueName>) {
    let (found, db) = probes::tasks(config).await;
    let Some(db) = db else { return (vec![Finding::of("database.url", found)], BTreeSet::new()) };
    let findings = looked_at("database.url", found, &db, TASKS).await;
    let queues = probes::queues(&db).await;
    probes::close(db).await;
    (findings, queues)
}

/// The database of accounts, and the keys in it.
pub async fn accounts(config: &Config) -> Vec<Finding> {
    let about = config.accounts_setting();
    let (found, db) = probes::accounts(config).await;
    let Some(db) = db else { return vec![Finding::of(about, found)] };
    let mut findings = looked_at(about, found, &db, ACCOUNTS).await;
    if matches!(ACCOUNTS.standing(&db).await, Ok(Some(_))) {
        findings.push(keys(config, &db).await);
    }
    probes::close(db).await;
    findings
}

async fn looked_at(about: &'static str, found: Found, db: &Db, part: SchemaPart) -> Vec<Finding> {
    let mut findings = vec![Finding::of(about, found), version(about, db, part).await];
    findings.extend(clock(about, db).await);
    findings
}

async fn version(about: &'static str, db: &Db, part: SchemaPart) -> Finding {
    let known = part.version();
    let (verdict, said) = match part.standing(db).await {
        Ok(None) => {
            let said = "it has no tables yet: `tasker migrate`, or the first start, makes them";
            (Verdict::Warn, said.to_owned())
        }
        Ok(Some((found, oldest))) if oldest > known => (
            Verdict::Bad,
            format!(
                "its tables are at version {found} and want a Tasker that knows {oldest}: this one knows {known}"
            ),
        ),
        Ok(Some((found, _))) if found < known => {
            (Verdict::Warn, format!("its tables are at version {found} of {known}: `tasker migrate`"))
        }
        Ok(Some((found, _))) => (Verdict::Ok, format!("its tables are at version {found}")),
        Err(error) => (Verdict::Bad, telemetry::error_chain(&error)),
    };
    Finding::new(about, verdict, said)
}

/// SQLite has our clock.
async fn clock(about: &'static str, db: &Db) -> Option<Finding> {
    let before = Clock::System.now();
    match db.now().await {
        Ok(theirs) => theirs.map(|theirs| {
            topics_and_clocks::clock(about, theirs - i64::midpoint(before, Clock::System.now()))
        }),
        Err(error) => Some(Finding::new(about, Verdict::Bad, telemetry::error_chain(&error))),
    }
}

/// Whether the key file opens the signing keys, and whether they are renewed.
async fn keys(config: &Config, db: &Db) -> Finding {
    let about = "identity.key_file";
    let path = match config.identity_key_file() {
        Ok(path) => path,
        Err(error) => return Finding::new(about, Verdict::Bad, error.to_string()),
    };
    match KeyFileState::read(db.clone(), &path, Clock::System).await {
        Ok(None) => {
            Finding::new(about, Verdict::Ok, "there are no signing keys yet; the first start makes one")
        }
        Ok(Some(KeyFileState { keys, age, period })) => {
            let days = age.as_secs() / 86_400;
            let is_old = age > period + period / 10;
            let (verdict, said) = if is_old {
                (Verdict::Warn, "; the next one is overdue: is an Identity running?")
            } else {
                (Verdict::Ok, "")
            };
            let said = format!(
                "it opens the signing keys ({keys}); the current one has signed for {days} days{said}"
            );
            Finding::new(about, verdict, said)
        }
        Err(error) => Finding::new(about, Verdict::Bad, telemetry::error_chain(&error)),
    }
}
