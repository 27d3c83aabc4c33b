//! The checks of `tasker doctor` in the databases: schema version, clock, signing keys.

use std::collections::BTreeSet;

use database::{Db, ProcessClock, SchemaPart};
use domain::QueueName;
use identity::{IDENTITY_SCHEMA, SigningKeyState};
use store::{Store, TASKS_SCHEMA};
use telemetry::error_chain;

use crate::commands::checks::{self, ProbeResult};
use crate::commands::doctor::finding::{Finding, Verdict};
use crate::commands::doctor::topics_and_clocks::clock_finding;
use crate::config::sections::Config;

/// The findings about the database of tasks, and the queues of the operations in it.
pub async fn check_tasks_database(config: &Config) -> (Vec<Finding>, BTreeSet<QueueName>) {
    let (result, db) = checks::tasks_database(config).await;
    let Some(db) = db else { return (vec![Finding::of("database.url", result)], BTreeSet::new()) };
    let mut findings = database_findings("database.url", result, &db, TASKS_SCHEMA).await;
    if matches!(TASKS_SCHEMA.applied_version(&db).await, Ok(Some(_))) {
        findings.push(installation(&db).await);
    }
    let queues = checks::queues(&db).await;
    checks::close(db).await;
    (findings, queues)
}

/// The findings about the database of accounts and the signing keys in it.
pub async fn check_accounts_database(config: &Config) -> Vec<Finding> {
    let subject = config.accounts_setting();
    let (result, db) = checks::accounts_database(config).await;
    let Some(db) = db else { return vec![Finding::of(subject, result)] };
    let mut findings = database_findings(subject, result, &db, IDENTITY_SCHEMA).await;
    if matches!(IDENTITY_SCHEMA.applied_version(&db).await, Ok(Some(_))) {
        findings.push(signing_keys(config, &db).await);
    }
    checks::close(db).await;
    findings
}

async fn database_findings(
    subject: &'static str,
    result: ProbeResult,
    db: &Db,
    part: SchemaPart,
) -> Vec<Finding> {
    let mut findings = vec![Finding::of(subject, result), schema_version(subject, db, part).await];
    findings.extend(clock(subject, db).await);
    findings
}

async fn schema_version(subject: &'static str, db: &Db, part: SchemaPart) -> Finding {
    let known = part.latest_version();
    let (verdict, message) = match part.applied_version(db).await {
        Ok(None) => {
            let message = "it has no tables yet: `tasker migrate` or the first start creates them";
            (Verdict::Warn, message.to_owned())
        }
        Ok(Some((found, oldest))) if oldest > known => (
            Verdict::Bad,
            format!(
                "its tables are at version {found} and need a Tasker that knows version {oldest}: this one knows {known}"
            ),
        ),
        Ok(Some((found, _))) if found < known => {
            (Verdict::Warn, format!("its tables are at version {found} of {known}: run `tasker migrate`"))
        }
        Ok(Some((found, _))) => (Verdict::Ok, format!("its tables are at version {found}")),
        Err(error) => (Verdict::Bad, error_chain(&error)),
    };
    Finding::new(subject, verdict, message)
}

/// The installation to which the database belongs: its consumer groups in Kafka are named after it.
async fn installation(db: &Db) -> Finding {
    match Store::new(db.clone(), ProcessClock::System).installation().await {
        Ok(id) => Finding::new("database.url", Verdict::Ok, format!("it belongs to the installation {id}")),
        Err(error) => Finding::new("database.url", Verdict::Bad, error_chain(&error)),
    }
}

/// The offset of the database's clock; `None` for SQLite, which uses the clock of this machine.
async fn clock(subject: &'static str, db: &Db) -> Option<Finding> {
    let before = ProcessClock::System.now();
    match db.now().await {
        Ok(theirs) => theirs
            .map(|theirs| clock_finding(subject, theirs - i64::midpoint(before, ProcessClock::System.now()))),
        Err(error) => Some(Finding::new(subject, Verdict::Bad, error_chain(&error))),
    }
}

/// Whether the key file decrypts the signing keys, and whether the keys are rotated in time.
async fn signing_keys(config: &Config, db: &Db) -> Finding {
    let subject = "identity.key_file";
    let path = match config.identity_key_file() {
        Ok(path) => path,
        Err(error) => return Finding::new(subject, Verdict::Bad, error.to_string()),
    };
    match SigningKeyState::read(db.clone(), &path, ProcessClock::System).await {
        Ok(None) => {
            Finding::new(subject, Verdict::Ok, "there are no signing keys yet; the first start generates one")
        }
        Ok(Some(SigningKeyState { keys, age, period })) => {
            let days = age.as_secs() / 86_400;
            let is_overdue = age > period + period / 10;
            let (verdict, hint) = if is_overdue {
                (Verdict::Warn, "; the next key is overdue: is an Identity running?")
            } else {
                (Verdict::Ok, "")
            };
            let message = format!(
                "it decrypts the signing keys ({keys}); the current key has been in use for {days} days{hint}"
            );
            Finding::new(subject, verdict, message)
        }
        Err(error) => Finding::new(subject, Verdict::Bad, error_chain(&error)),
    }
}
