//! The parameters of a task: on the command line, in a file, or from standard input.

use std::io::stdin;

use anyhow::{Context, Result};
use domain::RawJson;

use crate::config::ConfigError;

/// Reads `given`: a JSON text, `@FILE`, or `-` for standard input.
pub fn read(given: &str) -> Result<RawJson> {
    let text = match given.strip_prefix('@') {
        Some(path) => std::fs::read_to_string(path).with_context(|| format!("{path} cannot be read"))?,
        None if given == "-" => std::io::read_to_string(stdin()).context("standard input cannot be read")?,
        None => given.to_owned(),
    };
    let read = RawJson::parse(text.trim().to_owned());
    read.map_err(|error| ConfigError::new(format!("the parameters are not JSON: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_json_from_anywhere() {
        assert_eq!(read(r#"{"length": 12}"#).unwrap().text(), r#"{"length": 12}"#);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[1]\n").unwrap();
        assert_eq!(read(&format!("@{}", file.path().display())).unwrap().text(), "[1]");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        assert!(read("{length: 12}").unwrap_err().is::<ConfigError>());
        assert!(read("@/nowhere/at/all").unwrap_err().to_string().contains("/nowhere/at/all"));
    }
}
