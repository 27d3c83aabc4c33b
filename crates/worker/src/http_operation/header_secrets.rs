//! The values of the headers of the settings, which a server may repeat in its answer and the owner of a task must not see.

use reqwest::header::{HeaderMap, HeaderValue};

/// What stands in place of a secret.
const PLACEHOLDER: &[u8] = b"[redacted]";

/// The shortest secret, in bytes. What is shorter stands in many texts by chance.
const MIN_SECRET_BYTES: usize = 6;

/// The values of headers, and the words of each: the second word of `Bearer TOKEN` is the secret. They are not printed.
pub(crate) struct HeaderSecrets {
    /// The longest first, so that no part of a value is left beside one of its words.
    secrets: Vec<Vec<u8>>,
}

impl HeaderSecrets {
    /// All values of `headers`.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let values = headers.values().map(HeaderValue::as_bytes);
        let parts = values.flat_map(|value| value.split(|byte| *byte == b' ').chain([value]));
        let mut secrets: Vec<_> =
            parts.filter(|part| part.len() >= MIN_SECRET_BYTES).map(<[u8]>::to_vec).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// How many bytes of a text must be known so that its first `shown` bytes can be shown: a secret may begin in the last of them.
    pub(crate) fn bytes_to_read(&self, shown: usize) -> usize {
        // In a JSON string each byte of a secret may have a backslash.
        shown + self.secrets.first().map_or(0, |longest| 2 * longest.len())
    }

    /// The first `shown` bytes of `text`, with a placeholder for each secret.
    pub(crate) fn redact(&self, text: &[u8], shown: usize) -> Vec<u8> {
        let mut redacted = Vec::new();
        let mut at = 0;
        while at < text.len().min(shown) {
            let rest = &text[at..];
            if let Some(length) = self.secrets.iter().find_map(|secret| length_at_start(rest, secret)) {
                redacted.extend_from_slice(PLACEHOLDER);
                at += length;
            } else {
                redacted.push(text[at]);
                at += 1;
            }
        }
        redacted
    }
}

/// The number of bytes that `secret` takes at the start of `text`, if it stands there: as it is, or with backslashes as in a JSON string.
fn length_at_start(text: &[u8], secret: &[u8]) -> Option<usize> {
    let mut length = 0;
    for byte in secret {
        if *byte != b'\\' && text.get(length) == Some(&b'\\') {
            length += 1;
        }
        if text.get(length) != Some(byte) {
            return None;
        }
        length += 1;
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderName;

    use super::*;

    fn redact(value: &'static str, text: &str, shown: usize) -> String {
        let header = (HeaderName::from_static("x-key"), HeaderValue::from_static(value));
        let secrets = HeaderSecrets::of(&HeaderMap::from_iter([header]));
        String::from_utf8(secrets.redact(text.as_bytes(), shown)).unwrap()
    }

    #[test]
    fn a_value_and_its_words_are_replaced_wherever_they_stand() {
        assert_eq!(redact("Bearer ab/c\"d", "no Bearer ab/c\"d, ab/c\"d", 99), "no [redacted], [redacted]");
        assert_eq!(redact("Bearer ab/c\"d", r#"{"key": "ab\/c\"d"}"#, 99), r#"{"key": "[redacted]"}"#);
        assert_eq!(redact("a\\b\\c\\d", r"a\b\c\d a\\b\\c\\d", 99), "[redacted] [redacted]");
    }

    #[test]
    fn a_secret_that_is_cut_off_is_replaced_too() {
        assert_eq!(redact("abcdefgh", "1 abcdefgh 2", 4), "1 [redacted]");
        assert_eq!(redact("abcdefgh", "1 abcdefg", 4), "1 ab");
    }

    #[test]
    fn a_short_value_is_not_replaced() {
        assert_eq!(redact("2", "error 42", 99), "error 42");
    }
}
