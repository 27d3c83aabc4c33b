//! Names that people and workers choose, each with its rule.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A name broke its rule; the sentence says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(&'static str);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $fits:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(value_type = String)]
        pub struct $name(String);

        impl $name {
            /// The rule, as a sentence.
            pub const RULE: &'static str = $rule;

            /// The name itself.
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
    /// What a task asks for: the name of an operation. Case matters.
    TypeName,
    "a type is 1 to 100 letters, digits, dots, underscores or hyphens, and not dots alone",
    // An address that ends in `.` or `..` means another one.
    |text| (1..=100).contains(&text.len())
        && text.bytes().any(|b| b != b'.')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

name! {
    /// A group of operations that share a topic.
    QueueName,
    "a queue is 1 to 100 lower-case letters, digits or hyphens",
    |text| (1..=100).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

name! {
    /// A worker, as it calls itself.
    WorkerName,
    "a worker's name is 1 to 200 characters, none of them a control character",
    |text| (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control)
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
    fn a_type_is_letters_digits_and_three_signs() {
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
    fn a_worker_may_be_called_anything_printable() {
        assert!("rig 7 · Köln".parse::<WorkerName>().is_ok());
        assert!("two\nlines".parse::<WorkerName>().is_err());
    }
}
