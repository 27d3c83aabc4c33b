//! The headers of requests that the settings list.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};

use crate::http_operation::settings::HeaderValueSource;

/// The headers that HTTP itself needs, or Tasker writes for each attempt, beside those that begin with [`TASKER_PREFIX`].
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "idempotency-key",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The beginning of the headers that tell the server about the task.
const TASKER_PREFIX: &str = "tasker-";

/// Reads the headers of the settings. A file's path is relative to `base_directory`. An error names the setting and holds no value.
pub(crate) fn read(
    sources: &BTreeMap<String, HeaderValueSource>,
    base_directory: &Path,
) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, source) in sources {
        let header = read_header(name, source, base_directory);
        let (header, value) = header.map_err(|error| format!("http.headers.{name}: {error}"))?;
        if headers.insert(header, value).is_some() {
            return Err(format!("http.headers.{name}: the header is listed twice"));
        }
    }
    Ok(headers)
}

fn read_header(
    name: &str,
    source: &HeaderValueSource,
    base_directory: &Path,
) -> Result<(HeaderName, HeaderValue), String> {
    let header: HeaderName =
        name.parse().map_err(|_| "a header's name must be a token such as X-Api-Key".to_owned())?;
    if RESERVED.contains(&header.as_str()) || header.as_str().starts_with(TASKER_PREFIX) {
        return Err("this header is written by Tasker and cannot be set".to_owned());
    }
    let text = match source {
        HeaderValueSource::Text(text) => text.clone(),
        HeaderValueSource::File(source) => read_file(&base_directory.join(&source.file))?,
    };
    let mut value = HeaderValue::from_str(text.expose_secret())
        .map_err(|_| "a header's value must be one line of ASCII characters".to_owned())?;
    value.set_sensitive(true);
    Ok((header, value))
}

/// The text of a file, without the newline that editors put at the end.
fn read_file(path: &Path) -> Result<SecretString, String> {
    let shown = path.display();
    let text =
        fs::read_to_string(path).map_err(|error| format!("the file {shown} cannot be read: {error}"))?;
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("the file {shown} is empty")),
        value => Ok(value.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_json(headers: Value) -> Result<HeaderMap, String> {
        read(&serde_json::from_value(headers).unwrap(), Path::new("/nonexistent"))
    }

    #[test]
    fn values_are_not_printed() {
        let headers = read_json(json!({ "Authorization": "Bearer of news" })).unwrap();
        assert_eq!(headers["authorization"], "Bearer of news");
        assert!(!format!("{headers:?}").contains("Bearer"));
    }

    #[test]
    fn headers_that_tasker_writes_cannot_be_set() {
        for name in
            ["Host", "content-length", "Transfer-Encoding", "Connection", "Tasker-Task-Id", "TASKER-x", "TE"]
        {
            let error = read_json(json!({ name: "1" })).unwrap_err();
            assert_eq!(
                error,
                format!("http.headers.{name}: this header is written by Tasker and cannot be set")
            );
        }
    }

    #[test]
    fn invalid_headers_are_named_without_their_values() {
        for (headers, part) in [
            (json!({ "a b": "1" }), "http.headers.a b: "),
            (json!({ "X-Key": "se\ncret" }), "http.headers.X-Key: a header's value must be one line"),
            (
                json!({ "X-Key": { "file": "key" } }),
                "http.headers.X-Key: the file /nonexistent/key cannot be read",
            ),
            (json!({ "X-Key": { "file": "/dev/null" } }), "http.headers.X-Key: the file /dev/null is empty"),
            (json!({ "X-Key": "1", "x-key": "2" }), "http.headers.x-key: the header is listed twice"),
        ] {
            let error = read_json(headers).unwrap_err();
            assert!(error.starts_with(part), "{error}");
            assert!(!error.contains("cret\n"), "{error}");
        }
    }
}
