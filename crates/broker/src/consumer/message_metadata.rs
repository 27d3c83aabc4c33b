//! What is read of a received message besides its payload: its size and its trace.

use domain::TraceContext;
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};

/// What a message takes besides its content, in bytes, estimated: many empty messages take memory, too.
const MESSAGE_OVERHEAD_BYTES: usize = 256;

/// The memory of a message in bytes, estimated.
pub(crate) fn memory_bytes(message: &OwnedMessage) -> usize {
    let parts = [message.payload(), message.key()];
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len));
    MESSAGE_OVERHEAD_BYTES + parts.into_iter().flatten().map(<[u8]>::len).chain(headers).sum::<usize>()
}

/// The trace context in a message's headers; an invalid one is ignored.
pub(crate) fn trace_context(message: &OwnedMessage) -> Option<TraceContext> {
    let mut headers = message.headers()?.iter();
    let value = headers.find(|header| header.key.eq_ignore_ascii_case(TraceContext::HEADER))?.value?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
