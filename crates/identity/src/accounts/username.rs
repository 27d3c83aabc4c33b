//! The names of accounts: one simple alphabet, so that no two names look alike.

use std::fmt;

const LONGEST: usize = 100;

/// A name that an account may have: ASCII letters, digits and `. _ - + @`, beginning with a letter or a digit.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct UserName {
    shown: String,
    folded: String,
}

/// Why a text is no user name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing was given.
    #[error("choose a user name")]
    Empty,
    /// It would not fit.
    #[error("a user name has at most 100 characters")]
    TooLong,
    /// Characters that could be confused with others, or not be seen at all.
    #[error(
        "a user name is made of the letters a to z, digits and . _ - + @, and begins with a letter or a digit"
    )]
    Characters,
}

impl UserName {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.is_empty() {
            return Err(InvalidName::Empty);
        }
        if text.len() > LONGEST {
            return Err(if text.is_ascii() { InvalidName::TooLong } else { InvalidName::Characters });
        }
        let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@".contains(&byte);
        if !text.bytes().all(sound) || !text.as_bytes()[0].is_ascii_alphanumeric() {
            return Err(InvalidName::Characters);
        }
        Ok(Self { shown: text.to_owned(), folded: text.to_ascii_lowercase() })
    }

    /// As it was typed.
    pub(crate) fn as_str(&self) -> &str {
        &self.shown
    }

    /// In lower case: what makes it unique.
    pub(crate) fn folded(&self) -> &str {
        &self.folded
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s86_what_could_be_confused_is_refused() {
        for good in ["ann", "Ann.Lee_2-x+y@example.org", "7", &"a".repeat(100)] {
            assert!(UserName::parse(good).is_ok(), "{good}");
        }
        let long = "a".repeat(101);
        for bad in [
            "",
            " ann",
            "ann ",
            "a b",
            "a\tb",
            "a\0",
            "аnn",
            "ａnn",
            "a\u{202e}b",
            "ann\u{200d}",
            "-ann",
            &long,
        ] {
            assert!(UserName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn s86_case_makes_no_second_name() {
        let (upper, lower) = (UserName::parse("Admin").unwrap(), UserName::parse("admin").unwrap());
        assert_eq!(upper.folded(), lower.folded());
        assert_eq!(upper.as_str(), "Admin");
    }
}
