//! A subscription to a topic: the reader's side of a consume loop, which receives messages and acknowledges them.

use domain::TraceContext;
use tokio::sync::mpsc;

/// A message with its trace and its position.
#[derive(Debug)]
pub struct Delivery<M> {
    /// The decoded message.
    pub message: M,
    /// The trace context from the message's headers.
    pub trace: Option<TraceContext>,
    /// The message's position, for [`MessageReceiver::ack`] and [`MessageReceiver::reject`].
    pub position: MessagePosition,
}

/// The position of a message in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagePosition {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// What a reader decides about a message.
#[derive(Debug)]
pub(crate) enum Disposition {
    /// The message is done; its offset may be stored.
    Ack(MessagePosition),
    /// The message can never be processed, for this reason; it goes to the dead letter queue.
    Reject(MessagePosition, String),
}

/// A subscription to one topic, shared with the other members of a consumer group. Dropping it leaves the group.
#[derive(Debug)]
pub struct MessageReceiver<M> {
    pub(crate) deliveries: mpsc::Receiver<Delivery<M>>,
    pub(crate) dispositions: mpsc::UnboundedSender<Disposition>,
}

impl<M> MessageReceiver<M> {
    /// The next message; `None` once the consume loop has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Delivery<M>> {
        self.deliveries.recv().await
    }

    /// The messages that are ready without waiting, up to `max`.
    pub fn drain_ready(&mut self, max: usize) -> Vec<Delivery<M>> {
        let mut ready = Vec::new();
        while ready.len() < max
            && let Ok(next) = self.deliveries.try_recv()
        {
            ready.push(next);
        }
        ready
    }

    /// Acknowledges a message, so that its offset is stored and the group does not receive it again.
    pub fn ack(&self, position: MessagePosition) {
        self.dispose(Disposition::Ack(position));
    }

    /// Rejects a message that can never be processed: it is sent to the dead letter queue with the cause, then acknowledged.
    pub fn reject(&self, position: MessagePosition, cause: String) {
        self.dispose(Disposition::Reject(position, cause));
    }

    fn dispose(&self, disposition: Disposition) {
        // Fails once the consume loop has ended. The group then receives the message again, which is harmless.
        drop(self.dispositions.send(disposition));
    }
}
