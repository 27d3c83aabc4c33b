//! Problem documents (RFC 9457) as answers.

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use domain::Problem;
use serde::Serialize;

/// A problem with the member that only the edge knows.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    problem: &'a Problem,
    /// Which occurrence it is, as a URI reference (RFC 9457, section 3.1.5): the request's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

/// An answer with the problem's status and the media type `application/problem+json`; 429 and 503 have `Retry-After: 1` (seconds).
///
/// The problem stays in the answer's extensions. From there [`request_id::assign`](crate::request_id::assign) adds the member
/// `instance`, so that nobody has to pass the request's id to the place where an error is made, and
/// [`request_log::record`](crate::request_log::record) takes the problem's kind.
pub fn response(problem: Problem) -> Response {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = body(&Document { problem: &problem, instance: None });
    let mut response = (status, [(CONTENT_TYPE, Problem::MEDIA_TYPE)], body).into_response();
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response.extensions_mut().insert(problem);
    response
}

/// Adds `instance` to the problem document that `response` holds; any other answer stays as it is.
pub(crate) fn set_instance(response: &mut Response, instance: &str) {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return };
    *response.body_mut() = body(&Document { problem: &problem, instance: Some(instance) });
    // A layer between may have measured or compressed the earlier body.
    response.headers_mut().remove(CONTENT_LENGTH);
    response.headers_mut().remove(CONTENT_ENCODING);
}

fn body(document: &Document<'_>) -> Body {
    Body::from(serde_json::to_vec(document).expect("a problem document serializes into memory"))
}
