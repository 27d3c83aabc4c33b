//! A finding of `tasker doctor`: what was checked, how good it is, and what to do.

use serde::Serialize;

use crate::commands::checks::ProbeResult;

/// How good the state of a subject is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but may stop working.
    Warn,
    /// It does not work.
    Bad,
}

/// One line of the report.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was checked: a setting, or the thing that it names.
    pub subject: String,
    /// How good its state is.
    pub verdict: Verdict,
    /// What was found, and what to do about it.
    pub message: String,
}

impl Finding {
    /// A finding about `subject`.
    pub fn new(subject: impl Into<String>, verdict: Verdict, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict, message: message.into() }
    }

    /// The result of a probe as a finding.
    pub fn of(subject: impl Into<String>, result: ProbeResult) -> Self {
        match result {
            Ok(message) => Self::new(subject, Verdict::Ok, message),
            Err(message) => Self::new(subject, Verdict::Bad, message),
        }
    }
}
