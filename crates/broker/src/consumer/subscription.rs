//! What comes in: messages of one topic, each with the mark by which its reader says that it is done with.

use domain::TraceContext;
use tokio::sync::mpsc;

/// A message and where it came from.
#[derive(Debug)]
pub struct Delivery<M> {
    /// What it says.
    pub message: M,
    /// The trace it belongs to.
    pub trace: Option<TraceContext>,
    /// Its place; [`Subscription::done`] wants it back.
    pub mark: MessagePosition,
}

/// The place of a message in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagePosition {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// What a reader says of a message.
#[derive(Debug)]
pub(crate) enum Disposition {
    /// It is done with.
    Done(MessagePosition),
    /// It makes no sense to its reader, who has put it aside.
    Senseless(MessagePosition, String),
}

/// The messages of one topic, shared with the other members of a group. Dropped, it leaves the group.
#[derive(Debug)]
pub struct Subscription<M> {
    pub(crate) incoming: mpsc::Receiver<Delivery<M>>,
    pub(crate) words: mpsc::UnboundedSender<Disposition>,
}

impl<M> Subscription<M> {
    /// The next message; `None` once the pump has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Delivery<M>> {
        self.incoming.recv().await
    }

    /// What else has come, up to `most`.
    pub fn drain_ready(&mut self, most: usize) -> Vec<Delivery<M>> {
        let mut more = Vec::new();
        while more.len() < most
            && let Ok(next) = self.incoming.try_recv()
        {
            more.push(next);
        }
        more
    }

    /// This message is done with: the group need not see it again.
    pub fn ack(&self, mark: MessagePosition) {
        self.say(Disposition::Done(mark));
    }

    /// This message can never be done with: it is put among the dead letters, with the cause.
    pub fn reject(&self, mark: MessagePosition, cause: String) {
        self.say(Disposition::Senseless(mark, cause));
    }

    fn say(&self, word: Disposition) {
        // If the pump has ended, the group sees the message again, which is harmless.
        drop(self.words.send(word));
    }
}
