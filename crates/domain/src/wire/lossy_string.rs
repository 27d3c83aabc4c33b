//! The text of a failure as it is received, whatever escapes it has.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// The text of a failure. In JSON it may contain an escape of a lone surrogate (`\\ud83d` without its second half), which no
/// `String` can hold: it is read as U+FFFD, since a text that is nearly right is better than a report that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossyString(pub String);

impl<'de> Deserialize<'de> for LossyString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(TextVisitor)
    }
}

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = LossyString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    /// `serde_json` passes a JSON string as WTF-8: a lone surrogate is three bytes.
    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<LossyString, E> {
        let mut bytes = bytes.to_vec();
        for at in 0..bytes.len().saturating_sub(2) {
            if matches!(bytes[at..at + 3], [0xed, 0xa0..=0xbf, 0x80..=0xbf]) {
                bytes[at..at + 3].copy_from_slice("\u{fffd}".as_bytes());
            }
        }
        Ok(LossyString(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LossyString, E> {
        Ok(LossyString(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_surrogate_is_replaced_and_everything_else_is_kept() {
        let read = |json: &str| serde_json::from_str::<LossyString>(json).map(|text| text.0);
        assert_eq!(read(r#""cut \ud83d""#).unwrap(), "cut \u{fffd}");
        assert_eq!(read(r#""\udc00\ud800 end""#).unwrap(), "\u{fffd}\u{fffd} end");
        assert_eq!(read(r#""\ud83e\udd80 é 🦀 \ud7ff\n""#).unwrap(), "🦀 é 🦀 \u{d7ff}\n");
        assert!(read("7").is_err() && read("[1]").is_err() && read("null").is_err());
    }
}
