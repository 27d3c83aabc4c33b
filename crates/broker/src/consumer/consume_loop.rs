//! The loop behind a feed. It never stops polling: with a reader that is busy it pauses its partitions instead.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::ControlFlow;

use domain::TraceContext;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Headers as _, Message as _, OwnedMessage};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::broker::{Broker, BrokerError};
use crate::connection::availability::ConsumerEvents;
use crate::consumer::offset_tracker::Offsets;
use crate::consumer::subscription::{Delivery, Disposition, MessagePosition, Subscription};
use crate::message::{InvalidMessage, Message};
use crate::producer::recovery::{CLOSE_TIMEOUT, RECREATE_DELAY};

/// With so many bytes that wait for their decision the partitions pause, until half of them are decided.
const MOST_BYTES: usize = 64 << 20;

/// What a message takes beside what it carries, about, in bytes: many empty ones are not nothing.
const EACH: usize = 256;

/// What stays so until somebody gives a right, changes a setting or makes room in the group. Everything else passes.
const LASTING: [RDKafkaErrorCode; 9] = [
    RDKafkaErrorCode::GroupAuthorizationFailed,
    RDKafkaErrorCode::GroupMaxSizeReached,
    RDKafkaErrorCode::InconsistentGroupProtocol,
    RDKafkaErrorCode::InvalidGroupId,
    RDKafkaErrorCode::InvalidSessionTimeout,
    RDKafkaErrorCode::TopicAuthorizationFailed,
    RDKafkaErrorCode::UnreleasedInstanceId,
    RDKafkaErrorCode::UnsupportedAssignor,
    RDKafkaErrorCode::UnsupportedVersion,
];

/// Moves the messages of one topic to a [`Subscription`].
pub struct ConsumeLoop<M> {
    broker: Broker,
    topic: String,
    group: String,
    consumer: StreamConsumer<ConsumerEvents>,
    out: mpsc::Sender<Delivery<M>>,
    words: mpsc::UnboundedReceiver<Disposition>,
    reading: InFlight<M>,
    paused: bool,
    /// Nothing can be read, as far as we know.
    unreadable: bool,
}

/// What a consumer has brought and is not stored as done with.
struct InFlight<M> {
    /// What finds no room with the reader.
    waiting: VecDeque<Delivery<M>>,
    offsets: Offsets,
    /// What the reader may still call senseless.
    undecided: HashMap<(i32, i64), OwnedMessage>,
    /// What is on its way to the dead letters, and how many bytes each has.
    buried: JoinSet<(MessagePosition, usize)>,
    /// How many bytes all of them have.
    bytes: usize,
}

/// What a pump does next.
enum Event {
    Disposition(Disposition),
    Room,
    Message(OwnedMessage),
    Buried(MessagePosition, usize),
    Complaint(KafkaError),
    Rebalance,
}

impl<M> Default for InFlight<M> {
    fn default() -> Self {
        let (waiting, offsets, undecided) = (VecDeque::new(), Offsets::default(), HashMap::new());
        Self { waiting, offsets, undecided, buried: JoinSet::new(), bytes: 0 }
    }
}

impl<M: Message> ConsumeLoop<M> {
    /// A member of `group` that holds no more than `room` messages for its reader.
    pub(crate) fn of(
        broker: Broker,
        topic: String,
        group: &str,
        room: usize,
    ) -> Result<(Subscription<M>, Self), BrokerError> {
        let (consumer, group) = (consumer(&broker, group)?, group.to_owned());
        let (out, incoming) = mpsc::channel(room.max(1));
        let (say, words) = mpsc::unbounded_channel();
        let (reading, paused, unreadable) = (InFlight::default(), false, false);
        let pump = Self { broker, topic, group, consumer, out, words, reading, paused, unreadable };
        Ok((Subscription { incoming, words: say }, pump))
    }

    /// Pumps until the feed is dropped; then stores what is done with and leaves the group.
    pub async fn run(mut self) {
        while self.topic_is_there().await
            && let Some(cause) = self.serve().await
        {
            self.deafened(&cause);
            tokio::select! {
                () = self.out.closed() => break,
                () = sleep(RECREATE_DELAY) => self.recreate_consumer(),
            }
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
        if timeout(CLOSE_TIMEOUT, leave).await.is_err() {
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

    /// Pumps until the feed is gone, or until the consumer is broken for good: the cause.
    async fn serve(&mut self) -> Option<KafkaError> {
        if let Err(error) = self.consumer.subscribe(&[&self.topic]) {
            return Some(error);
        }
        loop {
            if let ControlFlow::Break(end) = self.turn().await {
                return end;
            }
        }
    }

    /// Another consumer takes the place of the broken one; what that had brought comes again.
    fn recreate_consumer(&mut self) {
        match consumer(&self.broker, &self.group) {
            Ok(consumer) => {
                let broken = std::mem::replace(&mut self.consumer, consumer);
                // Its threads are waited for.
                drop(spawn_blocking(move || drop(broken)));
                (self.reading, self.paused) = (InFlight::default(), false);
            }
            Err(error) => {
                tracing::debug!(topic = self.topic, error = %error, "a consumer cannot be made");
            }
        }
    }

    /// Does the next thing there is to do. It is the last one if the feed is gone and every word of it has been heard, or if
    /// the consumer is broken for good.
    async fn turn(&mut self) -> ControlFlow<Option<KafkaError>> {
        let rebalanced = &self.consumer.context().rebalanced;
        let event = tokio::select! {
            word = self.words.recv() => match word {
                Some(word) => Event::Disposition(word),
                None => return ControlFlow::Break(None),
            },
            _ = self.out.reserve(), if !self.reading.waiting.is_empty() => Event::Room,
            Some(buried) = self.reading.buried.join_next() => {
                let (mark, bytes) = buried.expect("a dead letter is sent without a panic");
                Event::Buried(mark, bytes)
            }
            message = self.consumer.recv() => match message {
                Ok(message) => Event::Message(message.detach()),
                Err(error) => Event::Complaint(error),
            },
            () = rebalanced.notified() => Event::Rebalance,
        };
        match event {
            Event::Disposition(word) => self.hear(word),
            Event::Room => self.deliver_buffered(),
            Event::Message(message) => self.take(message),
            Event::Buried(mark, bytes) => {
                self.reading.bytes -= bytes;
                self.decided(mark);
            }
            Event::Complaint(error @ KafkaError::MessageConsumptionFatal(_)) => {
                return ControlFlow::Break(Some(error));
            }
            Event::Complaint(error) => self.on_error(&error),
            Event::Rebalance => self.rebalanced(),
        }
        self.pause_if_full();
        ControlFlow::Continue(())
    }

    /// A partition that runs again waits for the fetch that is on its way, so it is not stopped for a single message's sake.
    fn pause_if_full(&mut self) {
        let (capacity, bytes) = (self.out.capacity(), self.reading.bytes);
        let goes_on = if self.paused {
            capacity >= self.out.max_capacity() / 2 && bytes <= MOST_BYTES / 2
        } else {
            bytes <= MOST_BYTES
        };
        let pause = !self.reading.waiting.is_empty() || !goes_on;
        if self.paused != pause {
            self.paused = pause;
            self.pause_or_resume();
        }
    }

    /// Gives the reader as much as it has room for.
    fn deliver_buffered(&mut self) {
        while let Some(next) = self.reading.waiting.pop_front() {
            match self.out.try_send(next) {
                Ok(()) => {}
                Err(TrySendError::Full(next) | TrySendError::Closed(next)) => {
                    self.reading.waiting.push_front(next);
                    return;
                }
            }
        }
    }

    fn take(&mut self, message: OwnedMessage) {
        self.hears();
        let mark = MessagePosition { partition: message.partition(), offset: message.offset() };
        if self.reading.offsets.take(mark.partition, mark.offset) {
            let count = self.broker.count_redelivery();
            tracing::debug!(
                topic = self.topic,
                partition = mark.partition,
                offset = mark.offset,
                redeliveries = count,
                "a message came again"
            );
        }
        self.reading.bytes += weight(&message);
        match M::decode(message.payload().unwrap_or_default()) {
            Ok(decoded) => {
                let trace = trace(&message);
                let before = self.reading.undecided.insert((mark.partition, mark.offset), message);
                self.reading.bytes -= before.as_ref().map_or(0, weight);
                self.reading.waiting.push_back(Delivery { message: decoded, trace, mark });
                self.deliver_buffered();
            }
            Err(cause) => self.bury(message, cause, mark),
        }
    }

    fn hear(&mut self, word: Disposition) {
        let (Disposition::Done(mark) | Disposition::Senseless(mark, _)) = word;
        match (word, self.reading.undecided.remove(&(mark.partition, mark.offset))) {
            (Disposition::Senseless(_, cause), Some(message)) => {
                self.bury(message, InvalidMessage::Unsettled(cause), mark);
            }
            (_, message) => {
                self.reading.bytes -= message.as_ref().map_or(0, weight);
                self.decided(mark);
            }
        }
    }

    /// Puts a message aside; it is decided when the brokers have it there.
    fn bury(&mut self, message: OwnedMessage, cause: InvalidMessage, mark: MessagePosition) {
        let (broker, bytes) = (self.broker.clone(), weight(&message));
        self.reading.buried.spawn(async move {
            broker.bury(&message, &cause).await;
            (mark, bytes)
        });
    }

    fn decided(&mut self, mark: MessagePosition) {
        let Some(offset) = self.reading.offsets.decide(mark.partition, mark.offset) else { return };
        // Refused if the partition is another member's by now: that one sees the messages again.
        if let Err(error) = self.consumer.store_offset(&self.topic, mark.partition, offset) {
            tracing::debug!(topic = self.topic, partition = mark.partition, error = %error, "an offset was not stored");
        }
    }

    /// What is paused is paused anew, and what is another's is not waited for.
    fn rebalanced(&mut self) {
        let Ok(ours) = self.consumer.assignment() else { return };
        let ours: BTreeSet<i32> = ours.elements().iter().map(TopicPartitionListElem::partition).collect();
        self.reading.offsets.keep(&ours);
        if self.consumer.context().has_assignment() {
            self.hears();
        }
        self.pause_or_resume();
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
    fn on_error(&mut self, error: &KafkaError) {
        if error.rdkafka_error_code().is_some_and(|code| LASTING.contains(&code)) {
            self.deafened(error);
        } else {
            tracing::debug!(topic = self.topic, error = %error, "nothing comes at the moment");
        }
    }

    fn deafened(&mut self, cause: &KafkaError) {
        self.unreadable = true;
        let topic = &self.topic;
        if self.broker.topics().deafened(topic, &cause.to_string()) {
            let meanwhile = self.broker.names().use_of(topic).meanwhile();
            tracing::warn!(topic, error = %cause, "the topic {topic} cannot be read: {cause}; {meanwhile}");
        }
    }

    fn hears(&mut self) {
        if std::mem::take(&mut self.unreadable) && self.broker.topics().hears(&self.topic) {
            tracing::info!(topic = self.topic, "the topic {} can be read again", self.topic);
        }
    }
}

fn consumer(broker: &Broker, group: &str) -> Result<StreamConsumer<ConsumerEvents>, BrokerError> {
    let made = broker.settings().consumer(group).create_with_context(ConsumerEvents::of(broker.line()));
    made.map_err(|error| broker.settings().refused(&error))
}

fn weight(message: &OwnedMessage) -> usize {
    let parts = [message.payload(), message.key()];
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len));
    EACH + parts.into_iter().flatten().map(<[u8]>::len).chain(headers).sum::<usize>()
}

fn trace(message: &OwnedMessage) -> Option<TraceContext> {
    let mut headers = message.headers()?.iter();
    let value = headers.find(|header| header.key.eq_ignore_ascii_case(TraceContext::HEADER))?.value?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
