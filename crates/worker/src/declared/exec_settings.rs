//! How a declared program is run: its words, its limits, its surroundings, its end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::limits::MAX_SENT_RESULT_BYTES;

use crate::declared::declaration::{DeclaredLimits, Grace, OperationDeclaration};
use crate::declared::declaration_error::BrokenRules;
use crate::declared::declaration_source::{DeclarationSource, path_in};
use crate::output_format::OutputFormat;

/// How a declared program is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExecSettings {
    /// The program and its arguments; at least the program.
    pub(crate) program: Vec<String>,
    /// The form of its output.
    pub(crate) output: OutputFormat,
    /// The time between SIGTERM and SIGKILL.
    pub(crate) grace: Duration,
    /// Whether that time is spent before the deadline, and not after it.
    pub(crate) grace_is_inside: bool,
    /// What it may use.
    pub(crate) limits: ProcessLimits,
    /// Its whole environment.
    pub(crate) environment: BTreeMap<String, String>,
    /// Its working directory; `None`: a fresh private one for each attempt.
    pub(crate) directory: Option<PathBuf>,
    /// The user as whom it runs; `None`: that of the worker.
    pub(crate) user: Option<String>,
}

/// What a program may use. `None`: it is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProcessLimits {
    /// The memory, in MiB.
    pub(crate) memory_mb: Option<u64>,
    /// How many processes it may be at once.
    pub(crate) processes: Option<u32>,
    /// How many files each process may have open.
    pub(crate) open_files: Option<u64>,
    /// The largest output, in bytes.
    pub(crate) output_bytes: u64,
    /// The CPU time of each process, in seconds.
    pub(crate) cpu_seconds: Option<u64>,
    /// The largest file that it may write, in MiB.
    pub(crate) file_mb: Option<u64>,
}

/// The time between SIGTERM and SIGKILL of a declaration that names none, in milliseconds.
const DEFAULT_GRACE_MS: u64 = 1000;

/// The longest time between SIGTERM and SIGKILL, in milliseconds.
const MAX_GRACE_MS: u64 = 60_000;

/// The largest output of a declaration that names no limit, in bytes.
pub(crate) const DEFAULT_OUTPUT_BYTES: u64 = 1 << 20;

/// The greatest limit of memory and of a file, in MiB: 4 PiB, which fit the 64 bits of a limit in bytes.
const MAX_MEBIBYTES: u64 = 1 << 32;

/// The prefix of variables that a program must not get: settings and tokens of Tasker.
const RESERVED_PREFIX: &str = "TASKER_";

impl ExecSettings {
    /// The settings of the program that `declaration` runs, whose relative paths are relative to `directory`.
    pub(crate) fn compile(
        declaration: &OperationDeclaration,
        directory: &Path,
        source: &DeclarationSource<'_>,
        broken: &mut BrokenRules,
    ) -> Self {
        let program = declaration.run.clone().unwrap_or_default();
        check_program(&program, broken);
        let grace_ms = declaration.grace_ms.unwrap_or(DEFAULT_GRACE_MS);
        broken.check(grace_ms <= MAX_GRACE_MS, || format!("`grace_ms` must be at most {MAX_GRACE_MS}"));
        let grace_is_inside = declaration.grace.unwrap_or_default() == Grace::Inside;
        if grace_is_inside {
            check_grace_is_inside(declaration, grace_ms, broken);
        }
        let is_user = |user: &String| !user.is_empty() && !user.contains(['\0', ':']);
        broken.check(declaration.user.as_ref().is_none_or(is_user), || {
            "`user` must be the name of a user: not empty, without NUL and colons".to_owned()
        });
        Self {
            program: resolve_program(program, directory),
            output: declaration.output,
            grace: Duration::from_millis(grace_ms),
            grace_is_inside,
            limits: ProcessLimits::compile(declaration.limits.unwrap_or_default(), broken),
            environment: compile_environment(declaration, source, broken),
            directory: declaration.directory.as_deref().map(|path| path_in(directory, path)),
            user: declaration.user.clone(),
        }
    }
}

fn check_program(program: &[String], broken: &mut BrokenRules) {
    match program.first() {
        None => broken.add("`run` must not be empty: its first word is the program"),
        Some(first) => {
            broken.check(!first.is_empty(), || "the first word of `run` must not be empty".to_owned());
        }
    }
    let has_nul = program.iter().any(|word| word.contains('\0'));
    broken.check(!has_nul, || "`run` must not contain NUL".to_owned());
}

/// The words of `run` with the paths of what is in `directory`. A program without a slash is looked up when it is run.
fn resolve_program(mut program: Vec<String>, directory: &Path) -> Vec<String> {
    let paths =
        program.iter_mut().enumerate().filter(|(index, word)| is_relative_path(directory, *index, word));
    for (_, word) in paths {
        *word = path_in(directory, Path::new(word)).display().to_string();
    }
    program
}

/// Whether the word of `run` with this index is a path that is relative to `directory`, where the declaration is: the program if it
/// has a slash, another word if a file in the directory has this name.
pub fn is_relative_path(directory: &Path, index: usize, word: &str) -> bool {
    let is_path = if index == 0 { word.contains('/') } else { directory.join(word).is_file() };
    is_path && Path::new(word).is_relative()
}

/// A time to live that is not longer than the grace would have the program told to stop before it has begun.
fn check_grace_is_inside(declaration: &OperationDeclaration, grace_ms: u64, broken: &mut BrokenRules) {
    for (key, ttl) in [("default_ms", declaration.ttl.default_ms), ("max_ms", declaration.ttl.max_ms)] {
        broken.check(ttl.is_none_or(|ttl| grace_ms < ttl.millis()), || {
            format!(
                "`grace_ms` must be less than `ttl.{key}`: `grace = \"inside\"` spends it before the deadline"
            )
        });
    }
}

/// The variables that are set, and those of the worker's own that are passed on.
fn compile_environment(
    declaration: &OperationDeclaration,
    source: &DeclarationSource<'_>,
    broken: &mut BrokenRules,
) -> BTreeMap<String, String> {
    let mut environment = declaration.environment.clone().unwrap_or_default();
    for (name, value) in &environment {
        check_variable("environment", name, broken);
        broken.check(!value.contains('\0'), || {
            format!("`environment`: the value of {name:?} must not contain NUL")
        });
    }
    let set: Vec<String> = environment.keys().cloned().collect();
    for name in declaration.pass_environment.iter().flatten() {
        check_variable("pass_environment", name, broken);
        broken.check(!set.contains(name), || {
            format!("`pass_environment` must not name {name:?}, which `environment` sets")
        });
        if let Some(value) = (source.variable)(name) {
            environment.entry(name.clone()).or_insert(value);
        }
    }
    environment
}

fn check_variable(key: &str, name: &str, broken: &mut BrokenRules) {
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    broken.check(is_name, || {
        format!("`{key}`: {name:?} is no name of a variable: it must not be empty or contain `=` or NUL")
    });
    broken.check(!name.starts_with(RESERVED_PREFIX), || {
        format!("`{key}` must not name {name:?}: variables that begin with {RESERVED_PREFIX} are settings and tokens of Tasker")
    });
}

impl ProcessLimits {
    fn compile(limits: DeclaredLimits, broken: &mut BrokenRules) -> Self {
        let DeclaredLimits { memory_mb, processes, open_files, output_bytes, cpu_seconds, file_mb } = limits;
        let processes_wide = processes.map(u64::from);
        for (key, limit) in [
            ("memory_mb", memory_mb),
            ("processes", processes_wide),
            ("open_files", open_files),
            ("output_bytes", output_bytes),
            ("cpu_seconds", cpu_seconds),
            ("file_mb", file_mb),
        ] {
            broken.check(limit != Some(0), || format!("`limits.{key}` must be at least 1"));
        }
        for (key, limit, max) in [
            ("memory_mb", memory_mb, MAX_MEBIBYTES),
            ("file_mb", file_mb, MAX_MEBIBYTES),
            ("output_bytes", output_bytes, MAX_SENT_RESULT_BYTES as u64),
        ] {
            let is_in_range = limit.is_none_or(|limit| limit <= max);
            broken.check(is_in_range, || format!("`limits.{key}` must be at most {max}"));
        }
        let output_bytes = output_bytes.unwrap_or(DEFAULT_OUTPUT_BYTES);
        Self { memory_mb, processes, open_files, output_bytes, cpu_seconds, file_mb }
    }
}
