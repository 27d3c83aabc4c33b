//! How the output of an operation that is not written in Rust becomes the result of its task.

use serde::Deserialize;

/// The format of what a program prints or a server answers, and so how it becomes a result, which is JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutputFormat {
    /// The output is one JSON document, which is the result. An empty output is the result `null`.
    #[default]
    Json,
    /// The output is text in UTF-8. The result is a JSON string.
    Text,
    /// The output is text in UTF-8, line by line. Only programs print lines; an answer of a server is read as text.
    Lines,
}
