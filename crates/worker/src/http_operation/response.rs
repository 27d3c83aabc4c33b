//! What becomes of a server's answer: a result, or a failure that says whether another attempt may succeed.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use domain::{RawJson, is_control_or_invisible};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use telemetry::error_chain;

use crate::http_operation::address_rule::RefusedAddress;
use crate::http_operation::header_secrets::HeaderSecrets;
use crate::output_format::OutputFormat;
use crate::sdk::operation::Failure;

/// How much of an error's body is a part of the failure, in bytes.
const MAX_EXCERPT_BYTES: usize = 2048;

/// Reads the result of a call. Any status but a success (2xx) is a failure, and so is a body of more than `max_bytes`. No failure holds one of
/// the `secrets`.
pub(crate) async fn read_result(
    response: Response,
    max_bytes: usize,
    output: OutputFormat,
    secrets: &HeaderSecrets,
) -> Result<RawJson, Failure> {
    if !response.status().is_success() {
        return Err(status_failure(response, secrets).await);
    }
    let body = read_body(response, max_bytes).await?;
    let text = String::from_utf8(body)
        .map_err(|_| Failure::new("the answer of the server is not text in UTF-8").permanent())?;
    match output {
        OutputFormat::Json if text.trim_ascii().is_empty() => Ok(RawJson::of(&())?),
        OutputFormat::Json => RawJson::parse(text).map_err(|error| {
            Failure::new(format!("the answer of the server is not JSON: {error}")).permanent()
        }),
        OutputFormat::Text | OutputFormat::Lines => Ok(RawJson::of(&text)?),
    }
}

/// Reads a body and stops where it exceeds `max_bytes`, so that no server fills the memory.
async fn read_body(mut response: Response, max_bytes: usize) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let sentence =
            format!("the answer of the server exceeds {max_bytes} bytes, the limit http.max_result_bytes");
        Failure::new(sentence).permanent()
    };
    if response.content_length().is_some_and(|bytes| bytes > max_bytes as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(exchange_failure)? {
        if chunk.len() > max_bytes - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The failure of a call that was answered with another status than success. Whether another attempt may succeed depends on the status.
async fn status_failure(response: Response, secrets: &HeaderSecrets) -> Failure {
    let status = response.status();
    let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let excerpt = read_excerpt(response, secrets).await;
    let sentence = match &*excerpt {
        "" => format!("the server answered {status}"),
        excerpt => format!("the server answered {status}: {excerpt}"),
    };
    let failure = Failure::new(sentence);
    match pause.map(Duration::from_secs) {
        _ if !is_temporary(status) => failure.permanent(),
        Some(pause) => failure.retry_after(pause),
        None => failure,
    }
}

/// Whether the same request may succeed later: the server was busy or broken, and did not refuse the request itself.
fn is_temporary(status: StatusCode) -> bool {
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => false,
        status => status.is_server_error(),
    }
}

/// The beginning of a body as one line of text. A body that breaks off is read as far as it came.
async fn read_excerpt(mut response: Response, secrets: &HeaderSecrets) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < secrets.bytes_to_read(MAX_EXCERPT_BYTES) {
        let Ok(Some(chunk)) = response.chunk().await else { break };
        bytes.extend_from_slice(&chunk);
    }
    let excerpt = secrets.redact(&bytes, MAX_EXCERPT_BYTES);
    String::from_utf8_lossy(&excerpt).replace(is_control_or_invisible, " ").trim().to_owned()
}

/// The failure of a call that got no complete answer. Another attempt may succeed, unless the address must not be called.
pub(crate) fn exchange_failure(error: reqwest::Error) -> Failure {
    // The query of a URL may hold a secret.
    let error = error.without_url();
    let mut causes = successors(error.source(), |&cause| cause.source());
    match causes.find_map(|cause| cause.downcast_ref::<RefusedAddress>()) {
        Some(refused) => Failure::new(refused.to_string()).permanent(),
        None => Failure::new(format!("the call has failed: {}", error_chain(&error))),
    }
}
