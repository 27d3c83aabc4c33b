//! The name that a caller gives to one submission, so that it may be sent again: the header `Idempotency-Key`.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A key: 1 to [`IdempotencyKey::MAX_LENGTH`] printable ASCII characters. A caller uses each key for one submission.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// The text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 printable ASCII characters, as a string in quotes: \"order-17\"")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// The most characters of a key.
    pub const MAX_LENGTH: usize = 255;

    /// A key that nobody has used: a random UUID.
    pub fn random() -> Self {
        Self(Uuid::new_v4().to_string())
    }

    /// Reads the value of the header: a string of structured fields (RFC 9651, section 3.3.3), as
    /// draft-ietf-httpapi-idempotency-key-header has it, or the key without quotes, as many clients send it. Both mean the same
    /// key. Without quotes a key has no space, comma, semicolon, quote or backslash.
    pub fn from_header(value: &str) -> Result<Self, InvalidIdempotencyKey> {
        match value.strip_prefix('"') {
            Some(rest) => unescape(rest.strip_suffix('"').ok_or(InvalidIdempotencyKey)?)?.parse(),
            None if value.contains([' ', ',', ';', '"', '\\']) => Err(InvalidIdempotencyKey),
            None => value.parse(),
        }
    }

    /// The value of the header: the key in quotes.
    pub fn to_header(&self) -> String {
        format!("\"{}\"", self.0.replace('\\', r"\\").replace('"', r#"\""#))
    }

    /// The key without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text between the quotes, in which a backslash stands before a quote and before a backslash, and nowhere else.
fn unescape(text: &str) -> Result<String, InvalidIdempotencyKey> {
    let mut characters = text.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '"' => return Err(InvalidIdempotencyKey),
            '\\' => {
                characters.next().filter(|next| ['"', '\\'].contains(next)).ok_or(InvalidIdempotencyKey)?
            }
            other => other,
        });
    }
    Ok(plain)
}

impl FromStr for IdempotencyKey {
    type Err = InvalidIdempotencyKey;

    /// The key without quotes.
    fn from_str(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let is_printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if is_printable && (1..=Self::MAX_LENGTH).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_with_quotes_and_one_without_are_the_same() {
        let read = |value| IdempotencyKey::from_header(value).map(|key| key.to_string());
        assert_eq!(read("\"order-17\"").unwrap(), "order-17");
        assert_eq!(read("order-17").unwrap(), "order-17");
        assert_eq!(read(r#""two words, \"quoted\" \\""#).unwrap(), r#"two words, "quoted" \"#);
        let longest = "k".repeat(255);
        assert_eq!(read(&longest).unwrap(), longest);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let too_long = "k".repeat(256);
        for value in [
            "",
            "\"\"",
            "\"",
            "a b",
            "a,b",
            "a;b",
            "\"a\";b=1",
            "\"a",
            "a\"",
            r#""a\b""#,
            r#""a\""#,
            "é",
            "a\tb",
            &too_long,
        ] {
            assert!(IdempotencyKey::from_header(value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn what_is_sent_is_what_is_read() {
        for text in ["order-17", r#"a "b" \c"#] {
            let key: IdempotencyKey = text.parse().unwrap();
            assert_eq!(IdempotencyKey::from_header(&key.to_header()), Ok(key));
        }
    }
}
