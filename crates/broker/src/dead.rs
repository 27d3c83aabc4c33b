//! Dead letters: what nobody could read goes to a topic of its own, with its cause and where it came from.

use std::sync::atomic::Ordering;

use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use rdkafka::producer::BaseRecord;

use crate::broker::Broker;
use crate::message::BadMessage;

impl Broker {
    /// Puts a message aside. If even that fails, the log has where it was.
    pub(crate) fn bury(&self, message: &OwnedMessage, cause: &BadMessage) {
        let count = self.buried().fetch_add(1, Ordering::Relaxed) + 1;
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let dead = self.names().dead();
        let put =
            |headers: OwnedHeaders, key, value: &str| headers.insert(Header { key, value: Some(value) });
        let mut headers = OwnedHeaders::new();
        headers = put(headers, "tasker-error", &cause.to_string());
        headers = put(headers, "tasker-topic", topic);
        headers = put(headers, "tasker-partition", &partition.to_string());
        headers = put(headers, "tasker-offset", &offset.to_string());
        let key = String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned();
        let payload = message.payload().unwrap_or_default().to_vec();
        let record =
            BaseRecord::with_opaque_to(&dead, Box::new(None)).key(&key).payload(&payload).headers(headers);
        let is_open = self.topics().open(&dead).is_ok();
        if is_open && self.send(record) {
            tracing::warn!(topic, partition, offset, cause = %cause, dead_letters = count, "a message was put aside as a dead letter: {cause}");
        } else {
            tracing::error!(topic, partition, offset, cause = %cause, dead_letters = count, "a message is dropped: {cause}; and {dead} does not take it");
        }
    }

    /// How many messages this process has put aside.
    pub fn dead_letters(&self) -> u64 {
        self.buried().load(Ordering::Relaxed)
    }
}
