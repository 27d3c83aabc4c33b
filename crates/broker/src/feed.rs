//! What comes in: messages of one topic, each with the mark by which its reader says that it is done with.

use domain::Trace;
use tokio::sync::mpsc;

/// A message and where it came from.
#[derive(Debug)]
pub struct Incoming<M> {
    /// What it says.
    pub message: M,
    /// The trace it belongs to.
    pub trace: Option<Trace>,
    /// Its place; [`Feed::done`] wants it back.
    pub mark: Mark,
}

/// The place of a message in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

/// What a reader says of a message.
#[derive(Debug)]
pub(crate) enum Word {
    /// It is done with.
    Done(Mark),
    /// It makes no sense to its reader, who has put it aside.
    Senseless(Mark, String),
}

/// The messages of one topic, shared with the other members of a group. Dropped, it leaves the group.
#[derive(Debug)]
pub struct Feed<M> {
    pub(crate) incoming: mpsc::Receiver<Incoming<M>>,
    pub(crate) words: mpsc::UnboundedSender<Word>,
}

impl<M> Feed<M> {
    /// The next message; `None` once the pump has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Incoming<M>> {
        self.incoming.recv().await
    }

    /// What else has come, up to `most`.
    pub fn more(&mut self, most: usize) -> Vec<Incoming<M>> {
        let mut more = Vec::new();
        while more.len() < most
            && let Ok(next) = self.incoming.try_recv()
        {
            more.push(next);
        }
        more
    }

    /// This message is done with: the group need not see it again.
    pub fn done(&self, mark: Mark) {
        self.say(Word::Done(mark));
    }

    /// This message can never be done with: it is put among the dead letters, with the cause.
    pub fn senseless(&self, mark: Mark, cause: String) {
        self.say(Word::Senseless(mark, cause));
    }

    fn say(&self, word: Word) {
        // If the pump has ended, the group sees the message again, which is harmless.
        drop(self.words.send(word));
    }
}
