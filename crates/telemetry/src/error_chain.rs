//! An error and its causes on one line.

/// The error followed by each of its causes, separated by colons, for a log line or a message.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the file cannot be written")]
    struct WriteError(#[source] std::fmt::Error);

    #[test]
    fn the_causes_follow_the_error() {
        let cause = std::fmt::Error;
        assert_eq!(error_chain(&WriteError(cause)), format!("the file cannot be written: {cause}"));
    }
}
