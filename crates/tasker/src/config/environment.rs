//! The environment variables of the process, read once; no other module reads the environment.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;

use crate::config::error::ConfigError;

/// The variables with the prefix `TASKER_` that commands read and that are no settings.
pub const COMMAND_VARIABLES: [&str; 2] = ["TASKER_TOKEN", "TASKER_TLS_CA"];

/// The environment variables that the process was started with.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads all variables and leaves out those that are not Unicode.
    ///
    /// # Errors
    ///
    /// If the value of a variable that begins with `TASKER_` is not Unicode.
    pub fn read() -> Result<Self, ConfigError> {
        let readable = |(name, value): (OsString, OsString)| match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => Some(Ok((name, value))),
            (Ok(name), Err(_)) if name.starts_with("TASKER_") => {
                Some(Err(ConfigError::new(format!("{name}: its value is not Unicode"))))
            }
            _ => None,
        };
        env::vars_os().filter_map(readable).collect()
    }

    /// The value of one variable, if it is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables whose names begin with `prefix`, sorted by name. An empty one counts as not set, as in
    /// [`Environment::get`]: Compose passes `${NAME:-}` on as an empty value.
    pub fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let found = self.0.iter().filter(move |(name, value)| name.starts_with(prefix) && !value.is_empty());
        found.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
