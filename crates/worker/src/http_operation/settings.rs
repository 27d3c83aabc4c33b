//! The settings of an operation that calls a URL.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use domain::limits::DEFAULT_MAX_RESULT_BYTES;
use ipnet::IpNet;
use secrecy::SecretString;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// What an operation of the level `http` calls.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSettings {
    /// The method of the request.
    #[serde(default)]
    pub(crate) method: HttpMethod,
    /// The URL, of the scheme http or https.
    pub(crate) url: String,
    /// Further headers of the request. They are sent to the origin of `url` only, not to another one that it redirects to.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, HeaderValueSource>,
    /// The networks that may be called although they are not public. A single address is a network of its own.
    #[serde(default, deserialize_with = "read_networks")]
    pub(crate) allowed_networks: Vec<IpNet>,
    /// The largest body of an answer, in bytes. A larger one is a failure.
    #[serde(default = "default_max_result_bytes")]
    pub(crate) max_result_bytes: usize,
    /// How many redirects are followed.
    #[serde(default)]
    pub(crate) redirects: u8,
}

/// The method of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum HttpMethod {
    Get,
    #[default]
    Post,
    Put,
    Patch,
    Delete,
}

/// Where the value of a header comes from.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a header's value must be text or { file = \"path\" }")]
pub(crate) enum HeaderValueSource {
    /// The settings hold the value.
    Text(SecretString),
    /// A file holds the value, with or without a newline at its end.
    File(HeaderFile),
}

/// The file that holds the value of a header.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderFile {
    /// The path of the file.
    pub(crate) file: PathBuf,
}

const fn default_max_result_bytes() -> usize {
    DEFAULT_MAX_RESULT_BYTES
}

/// Reads networks in CIDR notation, and single addresses.
fn read_networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    Vec::<String>::deserialize(deserializer)?.iter().map(|text| read_network(text)).collect()
}

fn read_network<E: Error>(text: &str) -> Result<IpNet, E> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network
        .map_err(|_| E::custom(format!("{text:?} is neither an address nor a network such as 10.1.0.0/16")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn error_of(settings: Value) -> String {
        serde_json::from_value::<HttpSettings>(settings).unwrap_err().to_string()
    }

    #[test]
    fn only_the_url_is_required() {
        let settings: HttpSettings = serde_json::from_value(json!({ "url": "https://example.org" })).unwrap();
        assert_eq!(settings.method, HttpMethod::Post);
        assert_eq!(settings.max_result_bytes, 1_048_576);
        assert_eq!(settings.redirects, 0);
        assert!(settings.headers.is_empty() && settings.allowed_networks.is_empty());
        assert!(error_of(json!({})).contains("url"));
    }

    #[test]
    fn headers_are_text_or_name_a_file_and_no_value_is_printed() {
        let headers = json!({ "Authorization": "Bearer of news", "X-Key": { "file": "key" } });
        let settings = json!({ "url": "https://example.org", "headers": headers });
        let settings: HttpSettings = serde_json::from_value(settings).unwrap();
        assert!(matches!(settings.headers["Authorization"], HeaderValueSource::Text(_)));
        assert!(matches!(&settings.headers["X-Key"], HeaderValueSource::File(file) if file.file == *"key"));
        assert!(!format!("{settings:?}").contains("Bearer of news"));
    }

    #[test]
    fn networks_are_addresses_or_in_cidr_notation() {
        let settings = json!({ "url": "https://example.org", "allowed_networks": ["10.1.0.0/16", "::1"] });
        let settings: HttpSettings = serde_json::from_value(settings).unwrap();
        assert_eq!(settings.allowed_networks, ["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let url = "https://example.org";
        for (settings, part) in [
            (json!({ "url": url, "allowed_networks": ["10.1"] }), "10.1.0.0/16"),
            (json!({ "url": url, "headers": { "Accept": 1 } }), "text or { file"),
            (json!({ "url": url, "headers": { "Accept": { "file": "f", "mode": 1 } } }), "text or { file"),
            (json!({ "url": url, "method": "post" }), "unknown variant `post`"),
            (json!({ "url": url, "redirect": 1 }), "unknown field `redirect`"),
        ] {
            let error = error_of(settings);
            assert!(error.contains(part), "{error}");
        }
    }
}
