//! `tasker config`: writes a settings file, shows the settings in effect, and checks them.

pub(crate) mod check;
pub(crate) mod show;

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use crate::commands::checks::Scope;
use crate::commands::output::ReportFormat;
use crate::config::command_line::Sources;
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::Layers;
use crate::config::reference::commented_file;
use crate::exit_code::Exit;
use crate::{private_file, terminal};

/// The subcommands of `tasker config`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Writes a file with every setting, its default and its meaning, all as comments
    Init {
        /// The file
        #[arg(default_value = "tasker.toml")]
        file: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
    /// Shows every setting, its value and its source; secrets are not shown
    Show(ShowArgs),
    /// Checks that the settings are valid and that what they name can be reached: exit code 0 or 2
    Check(Scope),
}

/// Options of `tasker config show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    output: ReportFormat,
    #[command(flatten)]
    sources: Sources,
}

impl Command {
    /// Runs the subcommand.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        match self {
            Self::Init { file, force } => init(&file, force)?,
            Self::Show(ShowArgs { output, sources }) => {
                show::print(&sources.layers(Layers::default(), environment)?, output)?;
            }
            Self::Check(scope) => return check::run(scope, environment).await,
        }
        Ok(Exit::Done)
    }
}

/// Writes the default settings file. Only its owner may read it, because secrets may be added to it.
fn init(path: &Path, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    private_file::owner_only(options.write(true).create_new(!force).create(true).truncate(true));
    let mut file = match options.open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let exists = format!("{} exists already; --force overwrites it", path.display());
            return Err(ConfigError::new(exists).into());
        }
        opened => opened.with_context(|| format!("{} cannot be written", path.display()))?,
    };
    file.write_all(commented_file().as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    terminal::print_note(&format!("wrote {}: every setting as a comment with its default", path.display()));
    Ok(())
}
