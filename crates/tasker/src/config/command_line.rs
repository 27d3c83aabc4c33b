//! Where the settings of a command come from: a file, the environment, flags.

use std::path::PathBuf;

use clap::Args;

use super::{Config, ConfigError, Environment, Layers};

/// Where settings come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Settings (the later wins: file, environment TASKER__SECTION__KEY, flags)")]
pub struct Sources {
    /// The settings file [default: tasker.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in `--set worker.slots=4`; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl Sources {
    /// The configuration that they make on top of `defaults`.
    pub fn load(&self, defaults: Layers, environment: &Environment) -> Result<Config, ConfigError> {
        self.layers(defaults, environment)?.build()
    }

    /// They themselves on top of `defaults`.
    pub fn layers(&self, defaults: Layers, environment: &Environment) -> Result<Layers, ConfigError> {
        let layers = defaults.file(self.config.as_deref())?.environment(environment)?;
        self.set.iter().try_fold(layers, |layers, setting| layers.assignment(setting))
    }
}
