//! Dead letters: what nobody could read goes to a topic of its own, with its cause and where it came from.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::message::{Header, Message as _, OwnedHeaders, OwnedMessage};
use tokio::time::sleep;

use crate::broker::Broker;
use crate::message::InvalidMessage;
use crate::metrics;

/// How long a message waits until its topic is there and takes messages.
const PATIENCE: Duration = Duration::from_mins(1);

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Of many that come together the log has one in so long, with the count of all.
const ONE_IN: Duration = Duration::from_secs(10);

/// What this process could not read.
#[derive(Debug, Default)]
pub(crate) struct DeadLetterQueue {
    count: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl DeadLetterQueue {
    /// One more: how many that makes, and whether the log shall have it.
    fn count(&self) -> (u64, bool) {
        metrics::dead();
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let tells = told.is_none_or(|told| told.elapsed() >= ONE_IN);
        if tells {
            *told = Some(Instant::now());
        }
        (count, tells)
    }
}

impl Broker {
    /// Puts a message aside, and returns when the brokers have it. While they are away that is waited for, and then for a
    /// minute that its topic is there and takes it; if it does not, the log has where the message was.
    pub(crate) async fn bury(&self, message: &OwnedMessage, cause: &InvalidMessage) {
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let dead = self.names().dead();
        let key = String::from_utf8_lossy(message.key().unwrap_or_default());
        let payload = message.payload().unwrap_or_default();
        let mut began = Instant::now();
        let refused = loop {
            match self.deliver(&dead, &key, payload, headers(message, cause), None).await {
                Ok(()) => break None,
                Err(_) if !self.is_up() => {
                    self.line().wait_until_up().await;
                    began = Instant::now();
                }
                Err(error) if error.is_about_the_message() || began.elapsed() > PATIENCE => {
                    break Some(error);
                }
                Err(_) => sleep(PAUSE).await,
            }
        };
        let (count, tells) = self.buried().count();
        match refused {
            Some(error) => {
                tracing::error!(
                    topic,
                    partition,
                    offset,
                    dead_letters = count,
                    "a message is dropped: {cause}; and {dead} does not take it: {error}"
                );
            }
            None if tells => {
                tracing::warn!(
                    topic,
                    partition,
                    offset,
                    dead_letters = count,
                    "a message was put aside as a dead letter: {cause}"
                );
            }
            None => {
                tracing::debug!(
                    topic,
                    partition,
                    offset,
                    dead_letters = count,
                    "one more dead letter: {cause}"
                );
            }
        }
    }

    /// How many messages this process could not read.
    pub fn dead_letters(&self) -> u64 {
        self.buried().count.load(Ordering::Relaxed)
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
