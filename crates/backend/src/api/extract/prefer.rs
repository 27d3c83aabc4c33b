//! The `Prefer` header (RFC 7240): what the answer should contain, and how long the request may wait for it.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header::HeaderName;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

/// The longest that a request may wait. A longer wait is cut to this, as `Preference-Applied` says.
pub(crate) const MAX_WAIT: Duration = Duration::from_mins(1);

const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// The two preferences that are honoured. Others are ignored (RFC 7240, section 2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Prefer {
    /// `return=representation`: the task itself rather than its id.
    pub(crate) representation: bool,
    /// `wait=N`: answer when the task has ended, or after N seconds.
    pub(crate) wait: Option<Duration>,
}

impl Prefer {
    /// Parses the header. It may be sent several times, and each may contain several preferences.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        let texts = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        let mut prefer = Self::default();
        let mut names = BTreeSet::new();
        for preference in texts.flat_map(|text| text.split(',')) {
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            let value = value.trim().trim_matches('"');
            let name = name.trim().to_ascii_lowercase();
            // Of a preference that occurs twice the first counts (RFC 7240, section 2).
            if !names.insert(name.clone()) {
                continue;
            }
            match name.as_str() {
                "return" => prefer.representation = value.eq_ignore_ascii_case("representation"),
                "wait" => {
                    let seconds = value.parse().map(Duration::from_secs);
                    prefer.wait = seconds.ok().map(|wait| wait.min(MAX_WAIT));
                }
                _ => {}
            }
        }
        prefer
    }

    /// The header `Preference-Applied` for the preferences that were honoured; no header if there were none.
    pub(crate) fn applied(self) -> HeaderMap {
        let representation = self.representation.then(|| "return=representation".to_owned());
        let wait = self.wait.map(|wait| format!("wait={}", wait.as_secs()));
        let applied: Vec<String> = representation.into_iter().chain(wait).collect();
        let mut headers = HeaderMap::new();
        if !applied.is_empty() {
            let value = HeaderValue::from_str(&applied.join(", ")).expect("the text is ASCII");
            headers.insert(APPLIED, value);
        }
        headers
    }
}

impl<S: Sync> FromRequestParts<S> for Prefer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::from_headers(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &'static str) -> Prefer {
        Prefer::from_headers(&HeaderMap::from_iter([(
            HeaderName::from_static("prefer"),
            HeaderValue::from_static(text),
        )]))
    }

    #[test]
    fn wishes_are_read_and_unknown_ones_ignored() {
        let wait = Some(Duration::from_secs(5));
        assert_eq!(parse("wait=5, return=representation"), Prefer { representation: true, wait });
        assert_eq!(parse("respond-async; foo=1, Wait=\"5\""), Prefer { representation: false, wait });
        assert_eq!(parse("wait=soon, return=minimal"), Prefer::default());
        assert_eq!(parse("wait=5, wait=50"), Prefer { representation: false, wait });
    }

    #[test]
    fn a_long_wait_is_cut_and_reported() {
        assert_eq!(parse("wait=86400").applied()["preference-applied"], "wait=60");
        assert!(Prefer::default().applied().is_empty());
    }
}
