//! Which passwords are good enough.

const LONGEST: usize = 1024;

/// The list is short enough to be walked: it takes microseconds beside a hash.
const COMMON: &str = include_str!("../../assets/common-passwords.txt");

/// Why a password is not good enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadPassword {
    #[error("a password has {0} characters at least")]
    TooShort(usize),
    #[error("a password has 1024 bytes at most")]
    TooLong,
    #[error("this password is one of the first that anyone would try")]
    Common,
    #[error("a password is not the user name")]
    IsName,
}

/// Length and a list of common ones; no rules of composition (NIST SP 800-63B).
pub(crate) fn check(password: &str, name: &str, shortest: usize) -> Result<(), BadPassword> {
    if password.chars().count() < shortest {
        return Err(BadPassword::TooShort(shortest));
    }
    if password.len() > LONGEST {
        return Err(BadPassword::TooLong);
    }
    let folded = password.to_lowercase();
    if folded == name.to_lowercase() {
        return Err(BadPassword::IsName);
    }
    let ours = folded.strip_prefix("tasker").is_some_and(|rest| !rest.contains(char::is_alphabetic));
    if ours || COMMON.lines().any(|common| common == folded) {
        return Err(BadPassword::Common);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s100_short_common_and_own_names_are_refused() {
        assert_eq!(check("short", "ann", 8), Err(BadPassword::TooShort(8)));
        for common in ["password", "Password1", "qwertyuiop", "12345678", "tasker2026", "TASKER!!"] {
            assert_eq!(check(common, "ann", 8), Err(BadPassword::Common), "{common}");
        }
        assert_eq!(check("Ann.Lee@x", "ann.lee@X", 8), Err(BadPassword::IsName));
        assert_eq!(check(&"x".repeat(1025), "ann", 8), Err(BadPassword::TooLong));
    }

    #[test]
    fn s98_long_ones_and_any_character_are_fine() {
        for good in ["eight ch", "ключ от дома", "🦀🦀🦀🦀🦀🦀🦀🦀", "taskerdays are over", &"x".repeat(256)]
        {
            assert_eq!(check(good, "ann", 8), Ok(()), "{good}");
        }
    }
}
