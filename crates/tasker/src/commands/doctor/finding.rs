//! What `tasker doctor` has found of one thing.

use serde::Serialize;

use crate::commands::probes::Found;

/// How it stands with a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and may not for long.
    Warn,
    /// It does not work.
    Bad,
}

/// What was found.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// The thing: a setting, or what it names.
    pub about: String,
    /// How it stands with it.
    pub verdict: Verdict,
    /// What there is to say, and how to mend it.
    pub said: String,
}

impl Finding {
    /// `said` of `about`.
    pub fn new(about: impl Into<String>, verdict: Verdict, said: impl Into<String>) -> Self {
        Self { about: about.into(), verdict, said: said.into() }
    }

    /// What a probe has found.
    pub fn of(about: impl Into<String>, found: Found) -> Self {
        match found {
            Ok(said) => Self::new(about, Verdict::Ok, said),
            Err(said) => Self::new(about, Verdict::Bad, said),
        }
    }
}
