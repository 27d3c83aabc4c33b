//! The parameters of a task: JSON on the command line, in a file, or on standard input.

use std::io::stdin;
use std::path::Path;

use anyhow::{Context, Result};
use domain::RawJson;

use crate::config::error::ConfigError;
use crate::text_file;

/// Reads the parameters that `argument` gives: JSON text, `@FILE`, or `-` for standard input.
///
/// # Errors
///
/// If the file cannot be read or the text is not JSON.
pub fn read(argument: &str) -> Result<RawJson> {
    let text = match argument.strip_prefix('@') {
        Some(path) => text_file::read(Path::new(path)).with_context(|| format!("{path} cannot be read"))?,
        None if argument == "-" => text_file::read_from(stdin()).context("standard input cannot be read")?,
        None => argument.to_owned(),
    };
    let parameters = RawJson::parse(text.trim().to_owned());
    parameters.map_err(|error| ConfigError::new(format!("the parameters are not JSON: {error}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_json_from_an_argument_or_a_file() {
        assert_eq!(read(r#"{"length": 12}"#).unwrap().text(), r#"{"length": 12}"#);
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "[1]\n").unwrap();
        assert_eq!(read(&format!("@{}", file.path().display())).unwrap().text(), "[1]");
    }

    #[test]
    fn a_byte_order_mark_before_the_parameters_is_skipped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "\u{feff}[1]").unwrap();
        assert_eq!(read(&format!("@{}", file.path().display())).unwrap().text(), "[1]");
    }

    #[test]
    fn text_that_is_not_json_is_refused() {
        assert!(read("{length: 12}").unwrap_err().is::<ConfigError>());
        assert!(read("@/nowhere/at/all").unwrap_err().to_string().contains("/nowhere/at/all"));
    }
}
