//! The isolation levels that a benchmark can measure, and an operation of each that runs until it is stopped.

use clap::ValueEnum;
use domain::{RawJson, TypeName};

/// An isolation level. Operations of the level `process` run under the same supervisor as those of `exec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// Rust code inside the worker, which waits
    Async,
    /// A program
    Exec,
    /// A request to a server that never answers
    Http,
}

impl Level {
    /// The name of the level.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Exec => "exec",
            Self::Http => "http",
        }
    }

    /// The type of the operation.
    pub fn type_name(self) -> TypeName {
        let name = match self {
            Self::Async => "SLEEP",
            Self::Exec => "BENCH_EXEC",
            Self::Http => "BENCH_HTTP",
        };
        name.parse().expect("a valid type")
    }

    /// Parameters with which the operation does not end by itself.
    pub fn parameters(self) -> Option<RawJson> {
        (self == Self::Async).then(|| RawJson::parse(r#"{"ms": 3600000}"#.to_owned()).expect("valid JSON"))
    }

    /// The declaration of the operation in the settings of a worker; empty for one that is built in. `silent_server` never answers.
    pub fn declaration(self, silent_server: &str) -> String {
        let name = self.type_name();
        match self {
            Self::Async => String::new(),
            Self::Exec => {
                format!(
                    "[[worker.operations]]\ntype = \"{name}\"\nrun = [\"sleep\", \"3600\"]\ngrace_ms = 0\n"
                )
            }
            Self::Http => format!(
                "[[worker.operations]]\ntype = \"{name}\"\nhttp = {{ url = \"{silent_server}\", allowed_networks = [\"127.0.0.1\"] }}\n"
            ),
        }
    }
}
