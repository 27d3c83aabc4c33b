//! What a declaration says, in short: for people and programs that check declarations before a worker runs them.

use std::collections::BTreeMap;

use domain::{ExecutionIsolation, Ttl, TypeName};
use serde::Serialize;

use crate::declared::declaration::OperationDeclaration;
use crate::declared::declaration_list::CheckedDeclaration;
use crate::declared::declared_operation::DeclaredOperation;
use crate::declared::exec_settings::DEFAULT_OUTPUT_BYTES;

/// The main points of a declaration.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeclarationSummary {
    /// The type of the tasks.
    #[serde(rename = "type")]
    pub name: TypeName,
    /// The version.
    pub version: u32,
    /// The isolation level; `None` if the declaration runs nothing, or two things.
    pub isolation: Option<ExecutionIsolation>,
    /// The program and its arguments.
    pub run: Option<Vec<String>>,
    /// The URL of the request.
    pub url: Option<String>,
    /// The time to live of a submission that names none.
    pub default_ttl_ms: Option<Ttl>,
    /// The longest time to live that a submission may name.
    pub max_ttl_ms: Option<Ttl>,
    /// The limits of the program by their keys.
    pub limits: BTreeMap<&'static str, u64>,
}

impl CheckedDeclaration {
    /// The main points of the declaration; those of a valid one as its tasks are run.
    pub fn summary(&self) -> DeclarationSummary {
        let program = self.checked.as_ref().ok().and_then(DeclaredOperation::program);
        let summary = self.declaration.summary();
        DeclarationSummary { run: program.map(<[String]>::to_vec).or(summary.run), ..summary }
    }
}

impl OperationDeclaration {
    fn summary(&self) -> DeclarationSummary {
        let isolation = match (&self.run, &self.http) {
            (Some(_), None) => Some(ExecutionIsolation::Exec),
            (None, Some(_)) => Some(ExecutionIsolation::Http),
            _ => None,
        };
        DeclarationSummary {
            name: self.name.clone(),
            version: self.version,
            isolation,
            run: self.run.clone(),
            url: self.http.as_ref().map(|http| http.url.clone()),
            default_ttl_ms: self.ttl.default_ms,
            max_ttl_ms: self.ttl.max_ms,
            limits: if self.run.is_some() { self.limits_by_key() } else { BTreeMap::new() },
        }
    }

    fn limits_by_key(&self) -> BTreeMap<&'static str, u64> {
        let limits = self.limits.unwrap_or_default();
        let all = [
            ("memory_mb", limits.memory_mb),
            ("processes", limits.processes.map(u64::from)),
            ("open_files", limits.open_files),
            ("output_bytes", limits.output_bytes.or(Some(DEFAULT_OUTPUT_BYTES))),
            ("cpu_seconds", limits.cpu_seconds),
            ("file_mb", limits.file_mb),
        ];
        all.into_iter().filter_map(|(key, limit)| Some((key, limit?))).collect()
    }
}
