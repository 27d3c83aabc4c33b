//! An error and everything that caused it, on one line.

/// `the error: its cause: the cause of that`, for a log or a sentence.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the kettle is cold")]
    struct Kettle(#[source] std::fmt::Error);

    #[test]
    fn causes_follow() {
        let cause = std::fmt::Error;
        assert_eq!(error_chain(&Kettle(cause)), format!("the kettle is cold: {cause}"));
    }
}
