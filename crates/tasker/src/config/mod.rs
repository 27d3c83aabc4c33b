//! One configuration out of `tasker.toml`, the environment and flags; only this module reads the environment.

pub(crate) mod command_line;
pub(crate) mod environment;
pub(crate) mod kafka;
pub(crate) mod layers;
pub(crate) mod reference;
pub(crate) mod sections;
pub(crate) mod tls;
pub(crate) mod validation;
pub(crate) mod values;

use std::fmt;

pub use crate::config::command_line::Sources;
pub use crate::config::validation::Credentials;
pub use environment::Environment;
pub use layers::{Layers, SECRETS, secret_files};
pub use reference::{DEFAULT_FILE, Entry, entries};
pub use sections::{Config, Format, Log, Metrics, Traces, Worker};
pub use tls::authorities;
pub use values::{Address, Rotate, directory_of};

/// A setting that makes no sense, as a sentence that says which one and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    /// Refuses with `sentence`.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// The configuration that these make, each as `--set` spells it.
#[cfg(test)]
fn config(settings: &[&str]) -> Config {
    let assign = |layers: Layers, setting: &&str| layers.assignment(setting).expect("a setting");
    settings.iter().fold(Layers::default(), assign).build().expect("a configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_says_the_defaults() {
        let config = Layers::default().text("tasker.default.toml", DEFAULT_FILE).unwrap().build().unwrap();
        assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn what_the_default_file_leaves_out_may_be_written_as_it_shows() {
        let shown = |line: &str| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
        };
        let everything: Vec<&str> = DEFAULT_FILE.lines().filter(|line| shown(line)).collect();
        let everything = everything.iter().map(|line| line.strip_prefix("# ").unwrap_or(line));
        let everything: String = everything.flat_map(|line| [line, "\n"]).collect();
        let config = Layers::default().text("tasker.default.toml", &everything).unwrap().build().unwrap();
        assert!(config.worker.client_secret.is_some());
    }

    #[test]
    fn the_default_file_names_every_key() {
        for section in ["database", "kafka", "backend", "identity", "worker", "metrics", "traces", "log"] {
            let refusal =
                Layers::default().assignment(&format!("{section}.no_such_key=1")).unwrap_err().to_string();
            let keys: Vec<&str> = refusal.split('`').skip(3).step_by(2).collect();
            assert!(!keys.is_empty(), "{refusal}");
            let (_, rest) = DEFAULT_FILE.split_once(&format!("[{section}]\n")).expect(section);
            let shown = rest.split_once("\n[").map_or(rest, |(shown, _)| shown);
            for key in keys {
                assert!(shown.contains(&format!("{key} = ")), "{section}.{key}");
            }
        }
    }
}
