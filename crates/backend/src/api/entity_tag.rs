//! Entity tags (RFC 9110, section 8.8.3): whether a caller has read a task as it is.

use std::convert::Infallible;

use aws_lc_rs::digest::{SHA256, digest};
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::Task;

/// The tags that the header `If-None-Match` names; `None`: the request has no such header.
#[derive(Debug, Clone)]
pub(crate) struct KnownTags(Option<Vec<String>>);

/// A task as its owner sees it, with the tag of what is seen.
pub(crate) struct TaggedTask {
    body: Vec<u8>,
    /// A weak tag, since an answer may be compressed: equal tags mean equal members.
    tag: String,
    is_final: bool,
}

impl TaggedTask {
    /// The tag is a hash of every member, and nothing else: a clock has no part in it.
    pub(crate) fn new(task: &Task) -> Self {
        let body = serde_json::to_vec(task).expect("a task serializes into memory");
        let digest = digest(&SHA256, &body);
        let half = digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes");
        let tag = format!("W/\"{:032x}\"", u128::from_be_bytes(*half));
        Self { body, tag, is_final: task.status.is_final() }
    }

    /// Whether a caller that has these tags waits no longer: the task has ended, or it is not as the caller knows it.
    pub(crate) fn ends_wait_of(&self, known: &KnownTags) -> bool {
        self.is_final || known.0.is_some() && !known.contain(&self.tag)
    }

    /// 200 with the task, or 304 if the caller knows it.
    pub(crate) fn answer(self, known: &KnownTags, mut headers: HeaderMap) -> Response {
        headers.insert(ETAG, self.tag.parse().expect("a tag is ASCII"));
        if known.contain(&self.tag) {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        ([(CONTENT_TYPE, "application/json")], headers, self.body).into_response()
    }
}

impl KnownTags {
    /// Weak comparison (RFC 9110, section 8.8.3.2); `*` stands for every tag.
    fn contain(&self, tag: &str) -> bool {
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
        self.0
            .as_deref()
            .unwrap_or_default()
            .iter()
            .any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
    }
}

impl<S: Sync> FromRequestParts<S> for KnownTags {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let tags: Vec<String> = values.flat_map(|value| value.split(',')).map(str::to_owned).collect();
        Ok(Self((!tags.is_empty()).then_some(tags)))
    }
}
