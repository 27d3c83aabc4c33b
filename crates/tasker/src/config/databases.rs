//! The databases that the settings name: tasks, accounts, and the key file beside the accounts.

use std::path::{Path, PathBuf};

use database::{DatabaseError, Db, PoolOptions};
use secrecy::{ExposeSecret, SecretString};

use crate::config::error::ConfigError;
use crate::config::sections::{Config, Database};
use crate::file_trust;

impl Database {
    /// Checks the number of connections.
    ///
    /// # Errors
    ///
    /// If there are too few.
    pub fn check(&self) -> Result<(), ConfigError> {
        match self.max_connections.get() {
            ..PoolOptions::MIN_CONNECTIONS => Err(ConfigError::new(format!(
                "database.max_connections = {}: at least {}",
                self.max_connections,
                PoolOptions::MIN_CONNECTIONS
            ))),
            _ => Ok(()),
        }
    }
}

impl Config {
    /// The URL of the database of tasks.
    ///
    /// # Errors
    ///
    /// If `database.url` is not set.
    pub fn database_url(&self) -> Result<&str, ConfigError> {
        self.database.url.as_ref().map(SecretString::expose_secret).ok_or_else(|| {
            ConfigError::new(
                "database.url is not set: set it to postgres://… or sqlite:PATH, in tasker.toml, as \
                 TASKER__DATABASE__URL, or with --set database.url=…",
            )
        })
    }

    /// The URL of the database of accounts: `identity.database_url`, else the database of tasks; with SQLite a file of
    /// its own in the same directory.
    pub fn identity_database_url(&self) -> Result<String, ConfigError> {
        if let Some(url) = &self.identity.database_url {
            return Ok(url.expose_secret().to_owned());
        }
        let url = self.database_url()?;
        Ok(beside_sqlite(url, "identity.db")
            .map_or(url.to_owned(), |path| format!("sqlite:{}", path.display())))
    }

    /// Opens the database of tasks without connecting to it yet.
    pub fn open_tasks(&self) -> Result<Db, ConfigError> {
        open("database.url", self.database_url()?, &self.database)
    }

    /// Opens the database of accounts without connecting to it yet.
    pub fn open_accounts(&self) -> Result<Db, ConfigError> {
        open(self.accounts_setting(), &self.identity_database_url()?, &self.database)
    }

    /// The setting that names the database of accounts.
    pub fn accounts_setting(&self) -> &'static str {
        if self.identity.database_url.is_some() { "identity.database_url" } else { "database.url" }
    }

    /// The file of the key that encrypts Identity's signing keys, which need not exist.
    ///
    /// # Errors
    ///
    /// If it may not be trusted.
    pub fn trusted_identity_key_file(&self) -> Result<PathBuf, ConfigError> {
        let path = self.identity_key_file()?;
        file_trust::check(&path).map_err(|error| {
            ConfigError::new(format!("identity.key_file: {} cannot be used: {error}", path.display()))
        })?;
        Ok(path)
    }

    /// The file of the key that encrypts Identity's signing keys.
    pub fn identity_key_file(&self) -> Result<PathBuf, ConfigError> {
        if let Some(path) = &self.identity.key_file {
            return Ok(path.clone());
        }
        let url = self.identity_database_url()?;
        Ok(beside_sqlite(&url, "identity.key").unwrap_or_else(|| PathBuf::from("identity.key")))
    }
}

/// Opens `url`, which the setting `key` names. The error does not show the URL: it may hold a password.
fn open(key: &str, url: &str, settings: &Database) -> Result<Db, ConfigError> {
    settings.check()?;
    check_sqlite_files(key, url)?;
    Db::open_with(url, &PoolOptions { max_connections: settings.max_connections.get() })
        .map_err(|error| ConfigError::new(format!("{key}: {}", telemetry::error_chain(&error))))
}

/// Refuses a file of a SQLite database that may not be trusted. The files are checked by path: opening and closing one
/// would release SQLite's locks on it.
fn check_sqlite_files(key: &str, url: &str) -> Result<(), ConfigError> {
    let Some(path) = Db::sqlite_path(url) else { return Ok(()) };
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let file = format!("{path}{suffix}");
        file_trust::check(Path::new(&file))
            .map_err(|error| ConfigError::new(format!("{key}: {file} cannot be used: {error}")))?;
    }
    Ok(())
}

/// Why a service does not start on the database that `setting` names. What only an operator can correct is an error of the setting; such an
/// error does not show the URL, which may hold a password.
pub fn start_error(setting: &str, error: DatabaseError) -> anyhow::Error {
    if error.is_misconfigured() {
        ConfigError::new(format!("{setting}: {}", telemetry::error_chain(&error))).into()
    } else {
        error.into()
    }
}

/// The path of the file `name` in the directory of a SQLite database; `None` for PostgreSQL.
fn beside_sqlite(url: &str, name: &str) -> Option<PathBuf> {
    Some(Path::new(Db::sqlite_path(url)?).with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::layers::config_of;

    #[test]
    fn accounts_and_the_key_are_beside_a_sqlite_database() {
        let sqlite = config_of(&["database.url=sqlite:data/tasks.db"]);
        assert_eq!(sqlite.identity_database_url().unwrap(), "sqlite:data/identity.db");
        assert_eq!(sqlite.identity_key_file().unwrap(), Path::new("data/identity.key"));
        let postgres = config_of(&["database.url=postgres://h/tasks"]);
        assert_eq!(postgres.identity_database_url().unwrap(), "postgres://h/tasks");
        assert_eq!(postgres.identity_key_file().unwrap(), Path::new("identity.key"));
        assert!(config_of(&[]).database_url().unwrap_err().to_string().contains("TASKER__DATABASE__URL"));
    }
}
