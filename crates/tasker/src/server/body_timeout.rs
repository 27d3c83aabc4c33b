//! The time limit of a request's body: a client that announces a body and does not send it holds no connection.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH};
use axum::middleware::Next;
use axum::response::Response;
use domain::Problem;
use domain::problem_types::requests::BODY_TIMED_OUT;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use tokio::time::{Instant, timeout_at};

/// How long a body may take, from the end of the head. Shorter than the time limit of a request, which is counted from the
/// same moment: the answer is 408, which says whose fault it is, and not 503.
const BODY_TIMEOUT: Duration = Duration::from_secs(8);

/// Middleware that fails the body at its time limit, and then answers 408 (RFC 9110, section 15.5.9) whatever the service made
/// of the broken body. The connection is closed after it.
pub async fn enforce(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let has_timed_out = Arc::new(AtomicBool::new(false));
    let (flag, end) = (has_timed_out.clone(), Instant::now() + BODY_TIMEOUT);
    let request = request.map(|body| {
        let chunks = unfold((body.into_data_stream(), flag), move |(mut chunks, flag)| async move {
            let chunk = if let Ok(chunk) = timeout_at(end, chunks.next()).await {
                chunk?.map_err(std::io::Error::other)
            } else {
                flag.store(true, Ordering::Relaxed);
                Err(ErrorKind::TimedOut.into())
            };
            Some((chunk, (chunks, flag)))
        });
        // Fused, since a body may be polled after its end: the decompression does.
        Body::from_stream(chunks.fuse())
    });
    let response = next.run(request).await;
    if has_timed_out.load(Ordering::Relaxed) { timed_out(&response) } else { response }
}

/// The answer 408 with the other headers of the service's `response`, such as the request's id.
fn timed_out(response: &Response) -> Response {
    let detail = format!("the body of the request did not arrive within {} s", BODY_TIMEOUT.as_secs());
    let problem = Problem::new(&BODY_TIMED_OUT, detail);
    let mut answer = web::problem::response(problem);
    for (name, value) in response.headers() {
        if ![CONTENT_ENCODING, CONTENT_LENGTH].contains(name) {
            answer.headers_mut().entry(name).or_insert_with(|| value.clone());
        }
    }
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}
