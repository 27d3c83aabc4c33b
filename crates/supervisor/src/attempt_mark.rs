//! What the processes, the directory and the control group of an attempt have in common.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The beginning of the names of an attempt's directory and control group.
const NAME_PREFIX: &str = "tasker-attempt-";

/// The mark of one attempt: a value in the environment of its processes, and a part of the names of its directory and its control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AttemptMark(Uuid);

impl AttemptMark {
    /// A mark that no other attempt has.
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The name of the attempt's directory and control group.
    pub(crate) fn name(self) -> String {
        format!("{NAME_PREFIX}{}", self.0.simple())
    }

    /// The mark in such a name; `None` if it is another name.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let mark = Self(Uuid::try_parse(name.strip_prefix(NAME_PREFIX)?).ok()?);
        (mark.name() == name).then_some(mark)
    }
}

impl fmt::Display for AttemptMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_attempts_have_a_mark() {
        let mark = AttemptMark::random();
        assert_eq!(AttemptMark::of_name(&mark.name()), Some(mark));
        for name in [
            format!("tasker-{}", mark.0.simple()),
            format!("{NAME_PREFIX}{mark}"),
            "tasker-attempt-".to_owned(),
        ] {
            assert_eq!(AttemptMark::of_name(&name), None, "{name}");
        }
    }
}
