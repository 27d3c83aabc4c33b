//! User names: a small alphabet, so that no two names look alike.

use std::fmt;

/// The longest name, in characters.
const MAX_LENGTH: usize = 100;

/// A valid user name: ASCII letters, digits and `. _ - + @`, beginning with a letter or a digit.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserName {
    as_given: String,
    lower_case: String,
}

/// Why a text is not a valid user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// The text is empty.
    #[error("choose a user name")]
    Empty,
    /// The text has more than 100 characters.
    #[error("a user name must have at most 100 characters")]
    TooLong,
    /// The text has characters that look like others or cannot be seen, or begins with a punctuation mark.
    #[error(
        "a user name must be made of the letters a to z, digits and . _ - + @, and begin with a letter or a digit"
    )]
    Characters,
}

impl UserName {
    /// Checks `text` against the rules. Blanks around a name, as from copying it, are no part of it.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(if text.is_ascii() { InvalidName::TooLong } else { InvalidName::Characters });
        }
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
        if !text.bytes().all(is_allowed) || !text.as_bytes()[0].is_ascii_alphanumeric() {
            return Err(InvalidName::Characters);
        }
        Ok(Self { as_given: text.to_owned(), lower_case: text.to_ascii_lowercase() })
    }

    /// The name as it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.as_given
    }

    /// The name in lower case, which is unique among accounts.
    pub(crate) fn lower_case(&self) -> &str {
        &self.lower_case
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.as_given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_like_others_are_refused() {
        for good in ["ann", " ann", "ann\t", "Ann.Lee_2-x+y@example.org", "7", &"a".repeat(100)] {
            assert!(UserName::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(101);
        for bad in ["", "a b", "a\tb", "a\0", "аnn", "ａnn", "a\u{202e}b", "ann\u{200d}", "-ann", &long] {
            assert!(UserName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_that_differ_in_case_only_are_one_name() {
        let (upper, lower) = (UserName::parse("Admin").unwrap(), UserName::parse("admin").unwrap());
        assert_eq!(upper.lower_case(), lower.lower_case());
        assert_eq!(upper.as_str(), "Admin");
    }
}
