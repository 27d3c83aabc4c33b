//! The loop behind a feed. It never stops polling: with a reader that is busy it pauses its partitions instead.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::Trace;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use crate::broker::{Broker, BrokerError};
use crate::feed::{Feed, Incoming, Mark, Word};
use crate::line::Ear;
use crate::message::{BadMessage, Message};
use crate::offsets::Offsets;

/// How long a pump that ends may take to say what is done with and leave its group.
const FAREWELL: Duration = Duration::from_secs(3);

/// Moves the messages of one topic to a [`Feed`].
pub struct Pump<M> {
    broker: Broker,
    topic: String,
    consumer: StreamConsumer<Ear>,
    out: mpsc::Sender<Incoming<M>>,
    words: mpsc::UnboundedReceiver<Word>,
    /// What has come and finds no room with the reader.
    waiting: VecDeque<Incoming<M>>,
    offsets: Offsets,
    /// What the reader may still call senseless.
    undecided: HashMap<(i32, i64), OwnedMessage>,
    paused: bool,
}

/// What a pump does next.
enum Event {
    Word(Word),
    Room,
    Message(OwnedMessage),
    Complaint(KafkaError),
    Rebalance,
}

impl<M: Message> Pump<M> {
    /// A member of `group` that holds no more than `room` messages for its reader.
    pub(crate) fn of(
        broker: Broker,
        topic: String,
        group: &str,
        room: usize,
    ) -> Result<(Feed<M>, Self), BrokerError> {
        let ear = Ear::of(broker.line());
        let consumer: StreamConsumer<Ear> = broker.settings().consumer(group).create_with_context(ear)?;
        let (out, incoming) = mpsc::channel(room.max(1));
        let (say, words) = mpsc::unbounded_channel();
        let (waiting, offsets, undecided) = (VecDeque::new(), Offsets::default(), HashMap::new());
        let pump = Self { broker, topic, consumer, out, words, waiting, offsets, undecided, paused: false };
        Ok((Feed { incoming, words: say }, pump))
    }

    /// Pumps until the feed is dropped; then stores what is done with and leaves the group.
    pub async fn run(mut self) {
        if self.topic_is_there().await {
            if let Err(error) = self.consumer.subscribe(&[&self.topic]) {
                tracing::error!(topic = self.topic, error = %error, "cannot subscribe");
                return;
            }
            while self.turn().await {}
        }
        let leave = spawn_blocking(move || {
            if let Err(error) = self.consumer.commit_consumer_state(CommitMode::Sync) {
                let nothing = error.rdkafka_error_code() == Some(RDKafkaErrorCode::NoOffset);
                if !nothing {
                    tracing::debug!(topic = self.topic, error = %error, "the last offsets were not stored");
                }
            }
            drop(self.consumer);
        });
        if timeout(FAREWELL, leave).await.is_err() {
            tracing::debug!("a consumer takes its time to leave its group");
        }
    }

    /// A consumer that subscribes before its topic exists hears nothing for a minute. False: the feed is gone.
    async fn topic_is_there(&mut self) -> bool {
        let mut there = self.broker.topics().there();
        tokio::select! {
            found = there.wait_for(|there| there.contains(&self.topic)) => found.is_ok(),
            () = self.out.closed() => false,
        }
    }

    /// Does the next thing there is to do; false once the feed is gone and every word of it has been heard.
    async fn turn(&mut self) -> bool {
        let rebalanced = &self.consumer.context().rebalanced;
        let event = tokio::select! {
            word = self.words.recv() => match word {
                Some(word) => Event::Word(word),
                None => return false,
            },
            _ = self.out.reserve(), if !self.waiting.is_empty() => Event::Room,
            message = self.consumer.recv() => match message {
                Ok(message) => Event::Message(message.detach()),
                Err(error) => Event::Complaint(error),
            },
            () = rebalanced.notified() => Event::Rebalance,
        };
        match event {
            Event::Word(word) => self.hear(word),
            Event::Room => self.hand_out(),
            Event::Message(message) => self.take(message),
            Event::Complaint(error) => self.complain(&error),
            Event::Rebalance => self.pause_or_resume(),
        }
        // A partition that runs again waits for the fetch that is on its way, so it is not stopped for a single message's sake.
        let half = self.out.max_capacity() / 2;
        let pause = !self.waiting.is_empty() || (self.paused && self.out.capacity() < half);
        if self.paused != pause {
            self.paused = pause;
            self.pause_or_resume();
        }
        true
    }

    /// Gives the reader as much as it has room for.
    fn hand_out(&mut self) {
        while let Some(next) = self.waiting.pop_front() {
            match self.out.try_send(next) {
                Ok(()) => {}
                Err(TrySendError::Full(next) | TrySendError::Closed(next)) => {
                    self.waiting.push_front(next);
                    return;
                }
            }
        }
    }

    fn take(&mut self, message: OwnedMessage) {
        let mark = Mark { partition: message.partition(), offset: message.offset() };
        if self.offsets.take(mark.partition, mark.offset) {
            let count = self.broker.count_again();
            tracing::debug!(
                topic = self.topic,
                partition = mark.partition,
                offset = mark.offset,
                seen_again = count,
                "a message came again"
            );
        }
        match M::decode(message.payload().unwrap_or_default()) {
            Ok(decoded) => {
                let trace = trace(&message);
                self.undecided.insert((mark.partition, mark.offset), message);
                self.waiting.push_back(Incoming { message: decoded, trace, mark });
                self.hand_out();
            }
            Err(cause) => {
                self.broker.bury(&message, &cause);
                self.decided(mark);
            }
        }
    }

    fn hear(&mut self, word: Word) {
        let (Word::Done(mark) | Word::Senseless(mark, _)) = word;
        let message = self.undecided.remove(&(mark.partition, mark.offset));
        if let (Word::Senseless(_, cause), Some(message)) = (word, message) {
            self.broker.bury(&message, &BadMessage::Unsettled(cause));
        }
        self.decided(mark);
    }

    fn decided(&mut self, mark: Mark) {
        let Some(offset) = self.offsets.decide(mark.partition, mark.offset) else { return };
        // Refused if the partition is another member's by now: that one sees the messages again.
        if let Err(error) = self.consumer.store_offset(&self.topic, mark.partition, offset) {
            tracing::debug!(topic = self.topic, partition = mark.partition, error = %error, "an offset was not stored");
        }
    }

    /// Applies the wanted state to all partitions: those that were away and came back keep theirs, new ones run.
    fn pause_or_resume(&self) {
        let Ok(partitions) = self.consumer.assignment() else { return };
        let done =
            if self.paused { self.consumer.pause(&partitions) } else { self.consumer.resume(&partitions) };
        if let Err(error) = done {
            tracing::debug!(topic = self.topic, error = %error, "the partitions were not paused or resumed");
        }
    }

    /// An error is an item among the messages: the brokers go and come back, and so do topics.
    fn complain(&self, error: &KafkaError) {
        tracing::debug!(topic = self.topic, error = %error, "nothing comes at the moment");
    }
}

fn trace(message: &OwnedMessage) -> Option<Trace> {
    let mut headers = message.headers()?.iter();
    let value = headers.find(|header| header.key.eq_ignore_ascii_case(Trace::HEADER))?.value?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
