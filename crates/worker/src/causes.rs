//! An error and everything that caused it, as one sentence.

use std::error::Error;

/// `the error: its cause: the cause of that`.
pub(crate) fn sentence(error: &dyn Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(": ");
        said.push_str(&error.to_string());
        cause = error.source();
    }
    said
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
        assert_eq!(sentence(&Kettle(cause)), format!("the kettle is cold: {cause}"));
    }
}
