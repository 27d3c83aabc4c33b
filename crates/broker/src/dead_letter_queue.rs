//! The dead letter queue: a topic for messages that cannot be decoded or settled, with the cause and their origin.

use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use telemetry::error_chain;
use tokio::time::sleep;

use crate::connection::Connection;
use crate::message_formats::InvalidMessage;
use crate::metrics;
use crate::producer::publisher::{PublishError, Publisher};

/// How long a dead letter waits for its topic to exist and to accept it, while the brokers are available.
const MAX_TOPIC_WAIT: Duration = Duration::from_mins(1);

/// Pause between two attempts to publish a dead letter.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Of many dead letters in a row one is logged as a warning per interval, with the count of all; the others at `debug`.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Publishes dead letters and counts them.
pub(crate) struct DeadLetterQueue {
    connection: Arc<Connection>,
    publisher: Publisher,
    count: AtomicU64,
    last_warning: Mutex<Option<Instant>>,
}

impl DeadLetterQueue {
    /// Publishes over `connection`; the count begins at 0.
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        let publisher = Publisher::new(connection.clone());
        Self { connection, publisher, count: AtomicU64::new(0), last_warning: Mutex::default() }
    }

    /// How many messages this process has sent to the dead letter queue, or had to drop.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Publishes a message as a dead letter, and returns when the brokers have it. Waits while the brokers are down; once they
    /// are up it waits up to a minute for the dead letter topic. After that the message is dropped, and the log says where it
    /// was.
    pub(crate) async fn send(&self, message: &OwnedMessage, cause: &InvalidMessage) {
        let outcome = self.publish(message, cause).await;
        self.log(message, cause, outcome);
    }

    async fn publish(&self, message: &OwnedMessage, cause: &InvalidMessage) -> Result<(), PublishError> {
        let topic = self.connection.topic_names.dead_letters();
        let key = String::from_utf8_lossy(message.key().unwrap_or_default());
        let payload = message.payload().unwrap_or_default();
        let mut began = Instant::now();
        loop {
            match self.publisher.publish(&topic, &key, payload, headers(message, cause), None).await {
                Ok(()) => return Ok(()),
                Err(_) if !self.connection.is_up() => {
                    self.connection.availability.wait_until_up().await;
                    began = Instant::now();
                }
                Err(error) if error.is_permanent() || began.elapsed() > MAX_TOPIC_WAIT => return Err(error),
                Err(_) => sleep(RETRY_INTERVAL).await,
            }
        }
    }

    fn log(&self, message: &OwnedMessage, cause: &InvalidMessage, outcome: Result<(), PublishError>) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let (dead_letters, warn) = self.increment();
        match outcome {
            Err(error) => {
                let error = error_chain(&error);
                let queue = self.connection.topic_names.dead_letters();
                tracing::error!(
                    topic,
                    partition,
                    offset,
                    dead_letters,
                    "a message is dropped: {cause}; and {queue} does not accept it: {error}"
                );
            }
            Ok(()) if warn => {
                tracing::warn!(
                    topic,
                    partition,
                    offset,
                    dead_letters,
                    "a message was sent to the dead letter queue: {cause}"
                );
            }
            Ok(()) => {
                tracing::debug!(
                    topic,
                    partition,
                    offset,
                    dead_letters,
                    "a message was sent to the dead letter queue: {cause}"
                );
            }
        }
    }

    /// Counts a dead letter. Returns the total, and whether a warning is due.
    fn increment(&self) -> (u64, bool) {
        metrics::count_dead_letter();
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut last_warning = self.last_warning.lock();
        let is_due = last_warning.is_none_or(|last| last.elapsed() >= LOG_INTERVAL);
        if is_due {
            *last_warning = Some(Instant::now());
        }
        (count, is_due)
    }
}

fn headers(message: &OwnedMessage, cause: &InvalidMessage) -> OwnedHeaders {
    let put = |headers: OwnedHeaders, key, value: &str| headers.insert(Header { key, value: Some(value) });
    let mut headers = OwnedHeaders::new();
    headers = put(headers, "tasker-error", &cause.to_string());
    headers = put(headers, "tasker-topic", message.topic());
    headers = put(headers, "tasker-partition", &message.partition().to_string());
    put(headers, "tasker-offset", &message.offset().to_string())
}
