//! The lines of JSON by which a program reports its progress and its end.

use std::time::Duration;

use domain::RawJson;
use serde::Deserialize;

use crate::sdk::operation::Failure;

/// A line of a program's standard output.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum ProgramLine {
    /// How far the program has come.
    Progress(ProgressLine),
    /// The result of the task; nothing that follows counts.
    Result(RawJson),
    /// Why the task fails; nothing that follows counts.
    Failure(FailureLine),
}

/// How far the program has come.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ProgressLine {
    /// In percent; more than 100 counts as 100.
    pub(crate) percent: u32,
    /// What the program does.
    #[serde(default)]
    pub(crate) message: String,
}

/// Why the task fails.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FailureLine {
    /// A sentence for the owner of the task.
    error: String,
    /// Whether another attempt would fail the same way.
    #[serde(default)]
    is_permanent: bool,
    /// The pause before another attempt, in milliseconds.
    retry_after_ms: Option<u64>,
}

impl From<FailureLine> for Failure {
    fn from(line: FailureLine) -> Self {
        let failure = Self::new(line.error);
        match (line.is_permanent, line.retry_after_ms) {
            (true, _) => failure.permanent(),
            (false, Some(pause)) => failure.retry_after(Duration::from_millis(pause)),
            (false, None) => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_is_read() {
        let read = |line| serde_json::from_str::<ProgramLine>(line);
        let progress = read(r#"{"progress": {"percent": 40, "message": "half"}}"#);
        assert!(matches!(progress, Ok(ProgramLine::Progress(ProgressLine { percent: 40, .. }))));
        assert!(matches!(read(r#"{"result": null}"#), Ok(ProgramLine::Result(_))));
        let Ok(ProgramLine::Failure(failure)) = read(r#"{"failure": {"error": "no", "isPermanent": true}}"#)
        else {
            panic!("a failure")
        };
        assert_eq!(Failure::from(failure), Failure::new("no").permanent());
        assert!(read("hello").is_err());
        assert!(read(r#"{"progress": {"percent": 1}, "result": 2}"#).is_err());
    }
}
