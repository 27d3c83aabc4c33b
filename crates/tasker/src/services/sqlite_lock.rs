//! The locks on SQLite files: one process at a time serves a file. A second one would wait for the writes of the first, and would
//! hear of its tasks late. Commands that read a file, migrate it or unlock an account need no lock.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use database::Db;

use crate::config::error::ConfigError;
use crate::config::sections::Config;
use crate::config::values::directory_of;
use crate::process_lock::{Acquisition, ProcessLock, acquire};

/// What the name of a SQLite file is followed by in that of its lock file.
const SUFFIX: &str = ".lock";

/// Locks the file of the database of tasks for this process; there is no lock on PostgreSQL.
///
/// # Errors
///
/// If another process serves the file, or the lock file cannot be written.
pub fn lock_tasks(config: &Config) -> Result<Vec<ProcessLock>> {
    lock(&[("database.url", config.database_url()?)])
}

/// [`lock_tasks`] for the database of accounts.
pub fn lock_accounts(config: &Config) -> Result<Vec<ProcessLock>> {
    lock(&[(config.accounts_setting(), &config.identity_database_url()?)])
}

/// [`lock_tasks`] for both databases, which may be one.
pub fn lock_both(config: &Config) -> Result<Vec<ProcessLock>> {
    let accounts = config.identity_database_url()?;
    lock(&[("database.url", config.database_url()?), (config.accounts_setting(), &accounts)])
}

fn lock(databases: &[(&str, &str)]) -> Result<Vec<ProcessLock>> {
    let mut files = BTreeMap::new();
    for (setting, url) in databases {
        if let Some(path) = Db::sqlite_path(url).map(Path::new) {
            files.entry(lock_file(setting, path)?).or_insert((*setting, path));
        }
    }
    files.iter().map(|(lock_file, (setting, path))| lock_one(setting, path, lock_file)).collect()
}

fn lock_one(setting: &str, path: &Path, lock_file: &Path) -> Result<ProcessLock> {
    let path = path.display();
    match acquire(lock_file) {
        Ok(Acquisition::Acquired(lock)) => Ok(lock),
        Ok(Acquisition::HeldByOther(process)) => bail!(
            "{setting}: another Tasker serves {path}{process}: stop it, or use PostgreSQL for several processes"
        ),
        Err(error) => {
            Err(ConfigError::new(format!("{setting}: {} cannot be locked: {error}", lock_file.display()))
                .into())
        }
    }
}

/// The lock file beside the database, whatever links lead there.
fn lock_file(setting: &str, path: &Path) -> Result<PathBuf, ConfigError> {
    let real = match path.canonicalize() {
        Err(error) if error.kind() == ErrorKind::NotFound => directory_of(path)
            .canonicalize()
            .map(|directory| directory.join(path.file_name().unwrap_or_default())),
        found => found,
    };
    let real = real.map_err(|error| {
        let directory = directory_of(path).display();
        ConfigError::new(match error.kind() {
            ErrorKind::NotFound => format!("{setting}: there is no directory {directory}: create it"),
            _ => format!("{setting}: {} cannot be used: {error}", path.display()),
        })
    })?;
    let mut name = real.into_os_string();
    name.push(SUFFIX);
    Ok(name.into())
}
