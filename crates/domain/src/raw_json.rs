//! A JSON document kept as the bytes that were received, so that it is returned unchanged.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// Any JSON document. It is kept byte for byte: integers of any size, escapes and whitespace are not changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = serde_json::Value)]
pub struct RawJson(Box<RawValue>);

impl RawJson {
    /// Parses a document; fails if `text` is not JSON.
    pub fn parse(text: String) -> Result<Self, serde_json::Error> {
        RawValue::from_string(text).map(Self)
    }

    /// Serializes `value`; fails if `value` cannot be written as JSON.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// The text of the document, as it was received.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Whether the document is `null`.
    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }

    /// Deserializes the document; fails if it is no `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.text())
    }
}

impl From<RawJson> for String {
    fn from(json: RawJson) -> Self {
        String::from(Box::<str>::from(json.0))
    }
}

impl PartialEq for RawJson {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for RawJson {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kept_byte_for_byte() {
        let odd = r#"{ "big": 9223372036854775807, "nul": "\u0000", "e": 1.0e2,  "emoji": "🦀" }"#;
        assert_eq!(RawJson::parse(odd.to_owned()).unwrap().text(), odd);
    }
}
