//! The names of types, schedules, queues and workers, each with the rule that a valid name keeps.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control_characters::is_control_or_invisible;

/// The text is not a valid name; the message is the rule that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(&'static str);

macro_rules! name {
    // `$pattern` and `$example` are bare tokens: if they are declared as `literal`, utoipa does not see them.
    ($(#[$doc:meta])* $name:ident, $rule:literal, $max:tt, $pattern:tt, $example:tt, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String, min_length = 1, max_length = $max, pattern = $pattern, examples($example))]
        pub struct $name(String);

        impl $name {
            /// The rule that a valid name keeps, as a sentence.
            pub const RULE: &'static str = $rule;

            /// The name as a text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                let fits: fn(&str) -> bool = $fits;
                if fits(&text) { Ok(Self(text)) } else { Err(InvalidName(Self::RULE)) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The type of a task: the name of the operation that runs it. Upper and lower case are different.
    TypeName,
    "a type must be 1 to 100 letters, digits, dots, underscores or hyphens, and not dots alone",
    100, r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$", "GENERATE_LOGIN",
    // Not `.` or `..`: as the last segment of a URL's path they mean another path (RFC 3986, 5.2.4).
    |text| (1..=100).contains(&text.len())
        && text.bytes().any(|b| b != b'.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

name! {
    /// The name of a schedule, which its owner chooses. Upper and lower case are different.
    ScheduleName,
    "a schedule's name is 1 to 100 letters, digits, dots, underscores or hyphens, and not dots alone",
    100, r"^\.*[A-Za-z0-9_-][A-Za-z0-9._-]*$", "nightly-report",
    // Not `.` or `..`, for the reason of a type.
    |text| (1..=100).contains(&text.len())
        && text.bytes().any(|b| b != b'.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

name! {
    /// The name of a queue: operations in the same queue share a Kafka topic and its consumer group.
    QueueName,
    "a queue must be 1 to 100 lower-case letters, digits or hyphens",
    100, "^[a-z0-9-]+$", "default",
    |text| (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

name! {
    /// The name of a worker, which the worker chooses itself.
    WorkerName,
    "a worker's name must be 1 to 200 visible characters: no control character, line separator, character without width, or control of \
     the direction of text",
    200, r"^[^\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+$", "rig-7",
    |text| (1..=200).contains(&text.chars().count()) && !text.contains(is_control_or_invisible)
}

name! {
    /// The key of a label.
    LabelKey,
    "a label's key is 1 to 63 letters, digits, dots, underscores, hyphens or slashes",
    63, "^[A-Za-z0-9._/-]+$", "team",
    |text| (1..=63).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
}

impl Default for QueueName {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_consists_of_letters_digits_dots_underscores_and_hyphens() {
        for good in ["GENERATE_LOGIN", "a", "image.resize-2", ".a", &"x".repeat(100)] {
            assert!(good.parse::<TypeName>().is_ok(), "{good}");
        }
        for bad in ["", "two words", "naïve", "a/b", ".", "..", "...", &"x".repeat(101)] {
            assert_eq!(bad.parse::<TypeName>().unwrap_err().to_string(), TypeName::RULE, "{bad}");
        }
    }

    #[test]
    fn a_queue_is_lower_case() {
        assert!("default".parse::<QueueName>().is_ok());
        assert!("Default".parse::<QueueName>().is_err());
    }

    #[test]
    fn the_name_of_a_worker_may_hold_any_printable_characters() {
        assert!("rig 7 · Köln".parse::<WorkerName>().is_ok());
        for hidden in ["two\nlines", "rig\u{202e}7", "rig\u{200b}7", "rig\u{2028}7", "rig\u{e0041}7"] {
            assert_eq!(hidden.parse::<WorkerName>().unwrap_err().to_string(), WorkerName::RULE, "{hidden:?}");
        }
    }
}
