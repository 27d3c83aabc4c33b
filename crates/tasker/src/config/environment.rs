//! The environment of the process, read once: the only place that asks for it.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;

use crate::config::ConfigError;

/// The variables that the process was started with.
#[derive(Debug, Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// Reads all of it. What is not Unicode is refused where it could be meant for us, and left out elsewhere.
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

    /// The variables that begin with `prefix`, in the order of their names.
    pub fn beginning_with(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        let found = self.0.iter().filter(move |(name, _)| name.starts_with(prefix));
        found.map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl Environment {
    /// Variables that look like ours and are none: Kubernetes makes such for a service called `tasker`.
    pub fn unknown_variables(&self) -> Vec<&str> {
        let known = ["TASKER_TOKEN", "TASKER_TLS_CA"];
        let ours = self.beginning_with("TASKER_").map(|(name, _)| name);
        ours.filter(|name| !name.starts_with("TASKER__") && !known.contains(name)).collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}
