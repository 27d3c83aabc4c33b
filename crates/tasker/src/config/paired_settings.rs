//! Pairs of settings of which either both are set or neither is: a certificate and its key, a name and its password.

use crate::config::error::ConfigError;

/// Both values, or `None` if neither is set.
///
/// # Errors
///
/// If only one of the two is set: the sentence names both keys of the section.
pub fn both_or_neither<A, B>(
    section: &str,
    (first_key, first): (&str, Option<A>),
    (second_key, second): (&str, Option<B>),
) -> Result<Option<(A, B)>, ConfigError> {
    let missing = |set: &str, unset: &str| {
        Err(ConfigError::new(format!("{section}.{set} is set and {section}.{unset} is not")))
    };
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        (Some(_), None) => missing(first_key, second_key),
        (None, Some(_)) => missing(second_key, first_key),
    }
}
