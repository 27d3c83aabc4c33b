//! `tasker config`: writes a settings file, shows what counts and where it comes from, checks that it holds.

pub(crate) mod check;
pub(crate) mod show;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::config::{ConfigError, DEFAULT_FILE, Environment, Layers, Sources};
use crate::exit_code::Exit;
use crate::{private_file, terminal as shown};

pub use crate::commands::doctor::run as look_over;
pub use crate::commands::probes::Scope;

/// What is asked about settings.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes a file with every setting, its default and its meaning
    Init {
        /// The file
        #[arg(default_value = "tasker.toml")]
        file: PathBuf,
        /// Also where there is one already
        #[arg(long)]
        force: bool,
    },
    /// Shows every setting, its value and where that comes from; secrets are not shown
    Show(Shown),
    /// Checks that the settings are sound, and that what they name is there: exit code 0 or 2
    Check(Scope),
}

/// Shows settings.
#[derive(Debug, Args)]
pub struct Shown {
    /// How to print
    #[arg(short, long, value_enum, default_value_t = crate::commands::config::show::Form::Table)]
    output: show::Form,
    #[command(flatten)]
    sources: Sources,
}

impl Command {
    /// Does what was asked.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        match self {
            Self::Init { file, force } => init(&file, force)?,
            Self::Show(Shown { output, sources }) => {
                show::print(&sources.layers(Layers::default(), environment)?, output)?;
            }
            Self::Check(scope) => return check::run(scope, environment).await,
        }
        Ok(Exit::Done)
    }
}

/// The file may come to hold secrets, so only its owner may read it.
fn init(path: &std::path::Path, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    private_file::options(options.write(true).create_new(!force).create(true).truncate(true));
    let mut file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let there = format!("{} is there already; --force writes it anew", path.display());
            return Err(ConfigError::new(there).into());
        }
        opened => opened.with_context(|| format!("{} cannot be written", path.display()))?,
    };
    file.write_all(DEFAULT_FILE.as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    shown::note(&format!("wrote {}: every setting with its default", path.display()));
    Ok(())
}
