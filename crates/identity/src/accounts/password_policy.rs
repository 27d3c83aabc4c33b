//! The password policy: a minimum length and a list of common passwords, no rules of composition (NIST SP 800-63B).

/// The longest password, in bytes.
const MAX_LENGTH: usize = 1024;

/// Common passwords in lower case, one a line. The list is searched line by line, which takes microseconds; the hash that
/// follows takes milliseconds.
const COMMON: &str = include_str!("../../assets/common-passwords.txt");

/// Why the policy refuses a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPassword {
    #[error("a password must have at least {0} characters")]
    TooShort(usize),
    #[error("a password must have at most 1024 bytes")]
    TooLong,
    #[error("this password is too common and would be guessed early")]
    Common,
    #[error("a password must be more than one repeated character, and more than blanks")]
    Repetition,
    #[error("the password must not be the user name")]
    IsName,
}

/// Checks the password of an account called `name`; `min_length` is in characters.
pub(crate) fn check(password: &str, name: &str, min_length: usize) -> Result<(), BadPassword> {
    if password.chars().count() < min_length {
        return Err(BadPassword::TooShort(min_length));
    }
    if password.len() > MAX_LENGTH {
        return Err(BadPassword::TooLong);
    }
    let lower_case = password.to_lowercase();
    let first = lower_case.chars().next();
    if lower_case.chars().all(|c| Some(c) == first) || lower_case.chars().all(char::is_whitespace) {
        return Err(BadPassword::Repetition);
    }
    if lower_case == name.to_lowercase() {
        return Err(BadPassword::IsName);
    }
    let is_product_name =
        lower_case.strip_prefix("tasker").is_some_and(|rest| !rest.contains(char::is_alphabetic));
    if is_product_name || COMMON.lines().any(|common| common == lower_case) {
        return Err(BadPassword::Common);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_common_passwords_and_the_user_name_are_refused() {
        assert_eq!(check("short", "ann", 8), Err(BadPassword::TooShort(8)));
        for common in ["password", "Password1", "qwertyuiop", "12345678", "tasker2026", "TASKER!!"] {
            assert_eq!(check(common, "ann", 8), Err(BadPassword::Common), "{common}");
        }
        assert_eq!(check("Ann.Lee@x", "ann.lee@X", 8), Err(BadPassword::IsName));
        assert_eq!(check(&"x".repeat(1025), "ann", 8), Err(BadPassword::TooLong));
        for repetition in
            ["zzzzzzzzz", "zZzZzZzZ", "        ", " \u{a0} \u{3000} \t \u{a0}", "🦀🦀🦀🦀🦀🦀🦀🦀"]
        {
            assert_eq!(check(repetition, "ann", 8), Err(BadPassword::Repetition), "{repetition:?}");
        }
    }

    #[test]
    fn long_passwords_and_any_characters_are_accepted() {
        for good in ["eight ch", "ключ от дома", "🦀🦀🦀🦀🦀🦀🦀🐙", "taskerdays are over", &"xy".repeat(128)]
        {
            assert_eq!(check(good, "ann", 8), Ok(()), "{good}");
        }
    }
}
