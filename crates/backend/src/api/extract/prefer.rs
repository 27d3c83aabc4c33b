//! The `Prefer` header (RFC 7240): what a caller would like the answer to hold, and how long it would wait for it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::HeaderName;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

/// The longest that a request may wait; a longer wish is cut, and `Preference-Applied` says to what.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(1);

const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The two preferences that we honour. Others are ignored, as the RFC asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// `return=representation`: the thing itself rather than its name.
    pub(crate) representation: bool,
    /// `wait=N`: answer when the task has ended, or after N seconds.
    pub(crate) wait: Option<Duration>,
}

impl Prefer {
    pub(crate) fn read(headers: &HeaderMap) -> Self {
        let texts = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let mut prefer = Self::default();
        let mut said = BTreeSet::new();
        for wish in texts.flat_map(|text| text.split(',')) {
            let wish = wish.split(';').next().unwrap_or_default();
            let (name, value) = wish.split_once('=').unwrap_or((wish, ""));
            let value = value.trim().trim_matches('"');
            let name = name.trim().to_ascii_lowercase();
            // Of a preference that is said twice the first counts.
            if !said.insert(name.clone()) {
                continue;
            }
            match name.as_str() {
                "return" => prefer.representation = value.eq_ignore_ascii_case("representation"),
                "wait" => {
                    let seconds = value.parse().map(Duration::from_secs);
                    prefer.wait = seconds.ok().map(|wait| wait.min(LONGEST_WAIT));
                }
                _ => {}
            }
        }
        prefer
    }

    /// The header that tells the caller which wishes were honoured; none if there were none.
    pub(crate) fn applied(self) -> HeaderMap {
        let representation = self.representation.then(|| "return=representation".to_owned());
        let wait = self.wait.map(|wait| format!("wait={}", wait.as_secs()));
        let applied: Vec<String> = representation.into_iter().chain(wait).collect();
        let mut headers = HeaderMap::new();
        if !applied.is_empty() {
            let value = HeaderValue::from_str(&applied.join(", ")).expect("plain words and a number");
            headers.insert(APPLIED, value);
        }
        headers
    }
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::read(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Prefer {
        Prefer::read(&HeaderMap::from_iter([(
            HeaderName::from_static("prefer"),
            HeaderValue::from_static(text),
        )]))
    }

    #[test]
    fn wishes_are_read_and_unknown_ones_ignored() {
        let wait = Some(Duration::from_secs(5));
        assert_eq!(read("wait=5, return=representation"), Prefer { representation: true, wait });
        assert_eq!(read("respond-async; foo=1, Wait=\"5\""), Prefer { representation: false, wait });
        assert_eq!(read("wait=soon, return=minimal"), Prefer::default());
        assert_eq!(read("wait=5, wait=50"), Prefer { representation: false, wait });
    }

    #[test]
    fn a_long_wait_is_cut_and_said_so() {
        assert_eq!(read("wait=86400").applied()["preference-applied"], "wait=60");
        assert!(Prefer::default().applied().is_empty());
    }
}
