//! The declaration of an operation as it is written in TOML: an entry of `worker.operations`, or a file of its own.

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::{QueueName, Ttl, TypeName};
use serde::Deserialize;
use serde_json::Value;

use crate::declared::submission_settings::{DeclaredDefaults, DeclaredMaxima};
use crate::http_operation::settings::HttpSettings;
use crate::output_format::OutputFormat;

/// An operation as the settings declare it: what is run, with which schemas and within which limits. Nothing is checked yet but the
/// form; [`OperationDeclaration::compile`] checks the rules.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperationDeclaration {
    /// The type of the tasks that the operation runs.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// The version. Raise it with every change of the schemas.
    #[serde(default = "first_version")]
    pub version: u32,
    /// What the operation does, as a sentence for people.
    #[serde(default)]
    pub description: String,
    /// The queue of the operation's tasks.
    #[serde(default)]
    pub queue: QueueName,
    /// The program and its arguments.
    pub run: Option<Vec<String>>,
    /// The request, instead of a program.
    pub(crate) http: Option<HttpSettings>,
    /// The form of the program's output, or of the response.
    #[serde(default)]
    pub(crate) output: OutputFormat,
    /// The JSON Schema of the parameters; by default any object.
    pub parameters: Option<Value>,
    /// The file of the JSON Schema of the parameters.
    pub parameters_file: Option<PathBuf>,
    /// The JSON Schema of the result; by default anything.
    pub result: Option<Value>,
    /// The file of the JSON Schema of the result.
    pub result_file: Option<PathBuf>,
    /// The default and the longest time to live of the tasks.
    #[serde(default)]
    pub(crate) ttl: DeclaredTtl,
    /// What a submission has that does not say otherwise.
    #[serde(default)]
    pub(crate) defaults: DeclaredDefaults,
    /// The most that a submission may ask for.
    #[serde(default)]
    pub(crate) maxima: DeclaredMaxima,
    /// The time between SIGTERM and SIGKILL, in milliseconds; 1000 by default.
    pub grace_ms: Option<u64>,
    /// Whether that time is a part of the time to live.
    pub(crate) grace: Option<Grace>,
    /// What the program may use.
    pub(crate) limits: Option<DeclaredLimits>,
    /// The environment of the program. Nothing else is inherited but what `pass_environment` lists.
    pub environment: Option<BTreeMap<String, String>>,
    /// The names of variables that the program inherits from the worker.
    pub pass_environment: Option<Vec<String>>,
    /// The working directory. Absent: a fresh private one for each attempt, which is removed afterwards.
    pub directory: Option<PathBuf>,
    /// The user as whom the program runs; only where the worker runs as root.
    pub user: Option<String>,
}

const fn first_version() -> u32 {
    1
}

/// The limits of the time to live of a declared operation's tasks.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredTtl {
    /// The time to live of a submission that names none.
    pub(crate) default_ms: Option<Ttl>,
    /// The longest time to live that a submission may name.
    pub(crate) max_ms: Option<Ttl>,
}

/// Where the time between SIGTERM and SIGKILL lies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grace {
    /// After the deadline: the program has the whole time to live to itself.
    #[default]
    After,
    /// Before the deadline: the program has ended when the deadline comes.
    Inside,
}

/// The limits of a declared program; an absent one does not limit, `output_bytes` aside.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeclaredLimits {
    /// The memory of the program, in MiB.
    pub(crate) memory_mb: Option<u64>,
    /// How many processes the program may be at once.
    pub(crate) processes: Option<u32>,
    /// How many files each process may have open.
    pub(crate) open_files: Option<u64>,
    /// The largest output, in bytes.
    pub(crate) output_bytes: Option<u64>,
    /// The CPU time of each process, in seconds.
    pub(crate) cpu_seconds: Option<u64>,
    /// The largest file that the program may write, in MiB.
    pub(crate) file_mb: Option<u64>,
}
