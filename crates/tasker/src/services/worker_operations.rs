//! The operations of a worker: the built-in ones, and those that its settings declare, in themselves or in a directory of files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use domain::{Operation, TypeName};
use telemetry::error_chain;
use tokio::sync::watch;
use worker::{
    CheckedDeclaration, DeclarationFileError, DeclarationPlace, DeclarationSource, DeclaredOperation,
    Operations, PlacedDeclaration, Supervision, SupervisorProgram, builtin,
};

use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::layers::{Layers, redact_message};
use crate::config::sections;
use crate::{file_trust, text_file};

/// The setting that names the directory of declarations.
const DIRECTORY_SETTING: &str = "worker.operations_directory";

/// The operations of a worker: the built-in ones and those that its settings declare. They are read again with the settings.
#[derive(Clone)]
pub struct WorkerOperations {
    supervision: Arc<Supervision>,
    current: watch::Sender<Arc<Operations>>,
}

impl WorkerOperations {
    /// Reads the operations.
    ///
    /// # Errors
    ///
    /// If a declaration breaks a rule or cannot be read, or names a user whom this process cannot become; the sentence names each place.
    pub fn read(section: &sections::Worker, environment: &Environment) -> Result<Self, ConfigError> {
        let supervision = Arc::new(Supervision::new(SupervisorProgram::own(), section.stop_means));
        let operations = Self { supervision, current: watch::Sender::default() };
        operations.read_again(section, environment)?;
        Ok(operations)
    }

    /// Reads the operations again; workers that follow them replace theirs.
    ///
    /// # Errors
    ///
    /// Those of [`WorkerOperations::read`]: then they stay as they were.
    pub fn read_again(
        &self,
        section: &sections::Worker,
        environment: &Environment,
    ) -> Result<(), ConfigError> {
        let declared = declared(section, environment)?;
        let operations = builtin(section)?.supervised_by(Arc::clone(&self.supervision));
        let operations = operations.with_declared(declared);
        let operations = operations.map_err(|error| ConfigError::new(error_chain(&error)))?;
        self.current.send_replace(Arc::new(operations));
        Ok(())
    }

    /// The operations as they are now.
    pub fn current(&self) -> Arc<Operations> {
        Arc::clone(&self.current.borrow())
    }

    /// The operations whenever they are read again.
    pub fn follow(&self) -> watch::Receiver<Arc<Operations>> {
        self.current.subscribe()
    }
}

/// The specifications of the built-in operations, as a Backend stores them.
pub fn specifications(section: &sections::Worker) -> Result<Vec<Operation>, ConfigError> {
    Ok(builtin(section)?.specifications().cloned().collect())
}

fn builtin(section: &sections::Worker) -> Result<Operations, ConfigError> {
    let [shortest, longest] = section.simulated_work()?.map(Duration::from_millis);
    Ok(builtin::bundled(shortest..=longest))
}

/// The operations that the settings declare.
///
/// # Errors
///
/// Those of [`WorkerOperations::read`].
pub fn declared(
    section: &sections::Worker,
    environment: &Environment,
) -> Result<Vec<DeclaredOperation>, ConfigError> {
    let (mut operations, mut refused) = (Vec::new(), Vec::new());
    for CheckedDeclaration { place, checked, .. } in check_settings(section, environment)? {
        match checked {
            Err(error) => refused.push(format!("{place}: {error}")),
            Ok(operation) if operation.user().is_some() && !rustix::process::geteuid().is_root() => {
                let name = &operation.specification().name;
                refused.push(format!("{place}: operation {name}: `user` needs a worker that runs as root"));
            }
            Ok(operation) => operations.push(operation),
        }
    }
    if refused.is_empty() { Ok(operations) } else { Err(ConfigError::new(refused.join("; "))) }
}

/// The declarations in the settings and in their directory of files, each checked.
///
/// # Errors
///
/// If the directory or one of its files cannot be read.
pub fn check_settings(
    section: &sections::Worker,
    environment: &Environment,
) -> Result<Vec<CheckedDeclaration>, ConfigError> {
    let in_settings = section.operations.iter().enumerate().map(|(index, declaration)| PlacedDeclaration {
        place: DeclarationPlace::Settings(index + 1),
        // The paths in a settings file are absolute by now; those of options and variables are relative to the working directory.
        directory: PathBuf::new(),
        declaration: declaration.clone(),
    });
    let mut placed: Vec<PlacedDeclaration> = in_settings.collect();
    if let Some(directory) = &section.operations_directory {
        let distrust =
            |error| ConfigError::new(format!("{DIRECTORY_SETTING}: {}: {error}", directory.display()));
        file_trust::check(directory).map_err(distrust)?;
        let found = with_source(environment, |source| PlacedDeclaration::read_directory(directory, source));
        let found =
            found.map_err(|error| ConfigError::new(format!("{DIRECTORY_SETTING}: {}", sentence(&error))));
        placed.extend(found?);
    }
    check(section, environment, placed)
}

/// The declarations in the file at `path`, each checked: a declaration of its own, or the settings of a worker.
///
/// # Errors
///
/// If the file is neither.
pub fn check_file(path: &Path, environment: &Environment) -> Result<Vec<CheckedDeclaration>, ConfigError> {
    let is_settings =
        |text: String| text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("worker"));
    if text_file::read_trusted(path).is_ok_and(is_settings) {
        let section = Layers::default().add_file(Some(path))?.build()?.worker;
        return check_settings(&section, environment);
    }
    let found = with_source(environment, |source| PlacedDeclaration::read_file(path, source));
    let found = found.map_err(|error| ConfigError::new(sentence(&error)))?;
    check(&sections::Worker::default(), environment, vec![found])
}

fn check(
    section: &sections::Worker,
    environment: &Environment,
    placed: Vec<PlacedDeclaration>,
) -> Result<Vec<CheckedDeclaration>, ConfigError> {
    let builtin: Vec<TypeName> =
        specifications(section)?.into_iter().map(|operation| operation.name).collect();
    Ok(with_source(environment, |source| CheckedDeclaration::check_all(placed, &builtin, source)))
}

/// Calls `read` with the files that may be trusted and the variables of `environment`.
fn with_source<T>(environment: &Environment, read: impl FnOnce(&DeclarationSource<'_>) -> T) -> T {
    let variable = |name: &str| environment.get(name).map(str::to_owned);
    read(&DeclarationSource { read: &text_file::read_trusted, variable: &variable })
}

/// The error as a sentence without values, which may be secrets.
fn sentence(error: &DeclarationFileError) -> String {
    match error {
        DeclarationFileError::Malformed { path, line, column, message } => {
            format!("{}, line {line}, column {column}: {}", path.display(), redact_message(message))
        }
        DeclarationFileError::Unreadable { .. } => error_chain(error),
    }
}
