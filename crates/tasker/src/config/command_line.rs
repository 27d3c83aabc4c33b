//! The command-line options that name settings: `--config FILE` and `--set SECTION.KEY=VALUE`.

use std::path::PathBuf;

use clap::Args;

use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::sections::Config;

/// Options of every command that reads settings.
#[derive(Debug, Clone, Default, Args)]
#[command(
    next_help_heading = "Settings (the later source wins: file, environment TASKER__SECTION__KEY, options)"
)]
pub struct Sources {
    /// The settings file [default: tasker.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in `--set worker.slots=4`; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl Sources {
    /// The configuration: `defaults`, then the file, the environment and the options, each over the one before.
    pub fn load(&self, defaults: Layers, environment: &Environment) -> Result<Config, ConfigError> {
        self.layers(defaults, environment)?.build()
    }

    /// The same as layers, which also know where each value comes from.
    pub fn layers(&self, defaults: Layers, environment: &Environment) -> Result<Layers, ConfigError> {
        let layers = defaults.add_file(self.config.as_deref())?.add_environment(environment)?;
        self.set.iter().try_fold(layers, |layers, setting| layers.add_assignment(setting))
    }
}
