//! The poll loop behind a subscription. It never stops polling: while the reader is busy it pauses its partitions instead.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;

use domain::InstallationId;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::connection::topic_registry::SHARED_TOPIC_HINT;
use crate::connection::{CLOSE_TIMEOUT, Connection, RECREATE_DELAY};
use crate::consumer::callbacks::ConsumerCallbacks;
use crate::consumer::message_metadata::{memory_bytes, trace_context};
use crate::consumer::message_receiver::{Delivery, Disposition, MessagePosition, MessageReceiver};
use crate::consumer::offset_tracker::OffsetTracker;
use crate::dead_letter_queue::DeadLetterQueue;
use crate::error::BrokerError;
use crate::message_formats::{InvalidMessage, Message};
use crate::metrics;
use crate::settings::ConsumerGroup;

/// Bytes of undecided messages above which the partitions are paused, until half of them are decided.
const MAX_UNDECIDED_BYTES: usize = 64 << 20;

/// Errors that last until somebody grants a right, changes a setting or makes room in the group. All others are transient.
const PERSISTENT_ERRORS: [RDKafkaErrorCode; 9] = [
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

/// Polls one topic as a member of a consumer group and delivers its messages to a [`MessageReceiver`].
pub struct ConsumeLoop<M> {
    connection: Arc<Connection>,
    dead_letter_queue: Arc<DeadLetterQueue>,
    source: Source,
    consumer: StreamConsumer<ConsumerCallbacks>,
    deliveries: mpsc::Sender<Delivery<M>>,
    dispositions: mpsc::UnboundedReceiver<Disposition>,
    in_flight: InFlight<M>,
    paused: bool,
    /// This loop has reported the topic as unreadable.
    unreadable: bool,
}

/// Whose messages are received, and from where.
pub(crate) struct Source {
    /// Messages of other installations are skipped.
    pub(crate) installation: InstallationId,
    pub(crate) topic: String,
    /// The consumer group, which no other installation has.
    pub(crate) group: ConsumerGroup,
}

/// The messages that were received and whose offsets are not stored.
struct InFlight<M> {
    /// Messages for which the reader's channel has no capacity.
    buffered: VecDeque<Delivery<M>>,
    offsets: OffsetTracker,
    /// Messages that the reader may still reject, by partition and offset.
    undecided: HashMap<(i32, i64), OwnedMessage>,
    /// Dead letters that are being published, each with its size in bytes.
    dead_letters: JoinSet<(MessagePosition, usize)>,
    /// The size of all messages above, in bytes.
    bytes: usize,
}

/// What the loop reacts to.
enum Event {
    Disposition(Disposition),
    CapacityAvailable,
    Message(OwnedMessage),
    DeadLetterSent(MessagePosition, usize),
    Error(KafkaError),
    Rebalance,
}

impl<M> Default for InFlight<M> {
    fn default() -> Self {
        let (buffered, offsets, undecided) = (VecDeque::new(), OffsetTracker::default(), HashMap::new());
        Self { buffered, offsets, undecided, dead_letters: JoinSet::new(), bytes: 0 }
    }
}

impl<M: Message> ConsumeLoop<M> {
    /// A member of the group of `source` with its subscription, whose channel has room for `capacity` messages. Fails if
    /// librdkafka rejects the settings.
    pub(crate) fn new(
        connection: Arc<Connection>,
        dead_letter_queue: Arc<DeadLetterQueue>,
        source: Source,
        capacity: usize,
    ) -> Result<(MessageReceiver<M>, Self), BrokerError> {
        let consumer = create_consumer(&connection, &source.group)?;
        let (deliveries, receiver) = mpsc::channel(capacity.max(1));
        let (sender, dispositions) = mpsc::unbounded_channel();
        let consume_loop = Self {
            connection,
            dead_letter_queue,
            source,
            consumer,
            deliveries,
            dispositions,
            in_flight: InFlight::default(),
            paused: false,
            unreadable: false,
        };
        Ok((MessageReceiver { deliveries: receiver, dispositions: sender }, consume_loop))
    }

    /// Polls until the subscription is dropped; then commits the acknowledged offsets and leaves the group. A consumer with a
    /// fatal error is replaced.
    pub async fn run(mut self) {
        while self.wait_for_topic().await
            && let Some(cause) = self.consume().await
        {
            self.mark_unreadable(&cause);
            tokio::select! {
                () = self.deliveries.closed() => break,
                () = sleep(RECREATE_DELAY) => self.recreate_consumer(),
            }
        }
        let close = spawn_blocking(move || {
            if let Err(error) = self.consumer.commit_consumer_state(CommitMode::Sync)
                && error.rdkafka_error_code() != Some(RDKafkaErrorCode::NoOffset)
            {
                tracing::debug!(topic = self.source.topic, error = %error, "the last offsets were not committed");
            }
            drop(self.consumer);
        });
        if timeout(CLOSE_TIMEOUT, close).await.is_err() {
            tracing::debug!("a consumer is still leaving its group");
        }
    }

    /// Waits until the topic exists: a consumer that subscribes earlier receives nothing for a minute. `false`: the
    /// subscription was dropped.
    async fn wait_for_topic(&mut self) -> bool {
        let mut present = self.connection.topics.present();
        tokio::select! {
            found = present.wait_for(|topics| topics.contains(&self.source.topic)) => found.is_ok(),
            () = self.deliveries.closed() => false,
        }
    }

    /// Polls until the subscription is dropped, or until the consumer meets a fatal error, which is returned.
    async fn consume(&mut self) -> Option<KafkaError> {
        if let Err(error) = self.consumer.subscribe(&[&self.source.topic]) {
            return Some(error);
        }
        loop {
            if let ControlFlow::Break(end) = self.step().await {
                return end;
            }
        }
    }

    /// Replaces the consumer. The messages of the previous one that are undecided are received again.
    fn recreate_consumer(&mut self) {
        match create_consumer(&self.connection, &self.source.group) {
            Ok(consumer) => {
                let failed = std::mem::replace(&mut self.consumer, consumer);
                // Dropping a consumer blocks until its threads have ended.
                drop(spawn_blocking(move || drop(failed)));
                (self.in_flight, self.paused) = (InFlight::default(), false);
            }
            Err(error) => {
                tracing::debug!(topic = self.source.topic, error = %error, "the consumer cannot be replaced");
            }
        }
    }

    /// Waits for the next event and processes it. Breaks when the subscription is dropped and all its dispositions are
    /// processed, or with the consumer's fatal error.
    async fn step(&mut self) -> ControlFlow<Option<KafkaError>> {
        let event = tokio::select! {
            disposition = self.dispositions.recv() => match disposition {
                Some(disposition) => Event::Disposition(disposition),
                None => return ControlFlow::Break(None),
            },
            _ = self.deliveries.reserve(), if !self.in_flight.buffered.is_empty() => Event::CapacityAvailable,
            Some(sent) = self.in_flight.dead_letters.join_next() => {
                let (position, bytes) = sent.expect("sending a dead letter does not panic");
                Event::DeadLetterSent(position, bytes)
            }
            message = self.consumer.recv() => match message {
                Ok(message) => Event::Message(message.detach()),
                Err(error) => Event::Error(error),
            },
            () = self.consumer.context().rebalanced() => Event::Rebalance,
        };
        match event {
            Event::Disposition(disposition) => self.on_disposition(disposition),
            Event::CapacityAvailable => self.deliver_buffered(),
            Event::Message(message) => self.on_message(message),
            Event::DeadLetterSent(position, bytes) => {
                self.in_flight.bytes -= bytes;
                self.store_decided(position);
            }
            Event::Error(error @ KafkaError::MessageConsumptionFatal(_)) => {
                return ControlFlow::Break(Some(error));
            }
            Event::Error(error) => self.on_error(&error),
            Event::Rebalance => self.on_rebalance(),
        }
        self.pause_if_full();
        ControlFlow::Continue(())
    }

    /// Delivers as many buffered messages as the reader's channel has capacity for.
    fn deliver_buffered(&mut self) {
        while let Some(next) = self.in_flight.buffered.pop_front() {
            match self.deliveries.try_send(next) {
                Ok(()) => {}
                Err(TrySendError::Full(next) | TrySendError::Closed(next)) => {
                    self.in_flight.buffered.push_front(next);
                    return;
                }
            }
        }
    }

    /// Decodes a message and buffers it for the reader; one that cannot be decoded goes to the dead letter queue.
    fn on_message(&mut self, message: OwnedMessage) {
        self.mark_readable();
        let position = MessagePosition { partition: message.partition(), offset: message.offset() };
        if self.in_flight.offsets.receive(position.partition, position.offset) {
            let redeliveries = self.connection.count_redelivery();
            tracing::debug!(
                topic = self.source.topic,
                partition = position.partition,
                offset = position.offset,
                redeliveries,
                "a message was received again"
            );
        }
        self.in_flight.bytes += memory_bytes(&message);
        match M::decode(message.payload().unwrap_or_default()) {
            Ok(decoded) if decoded.installation() != self.source.installation => {
                self.in_flight.bytes -= memory_bytes(&message);
                self.skip_foreign(decoded.installation(), position);
            }
            Ok(decoded) => {
                let trace = trace_context(&message);
                let before = self.in_flight.undecided.insert((position.partition, position.offset), message);
                self.in_flight.bytes -= before.as_ref().map_or(0, memory_bytes);
                self.in_flight.buffered.push_back(Delivery { message: decoded, trace, position });
                self.deliver_buffered();
            }
            Err(cause) => self.send_to_dead_letter_queue(message, cause, position),
        }
    }

    /// Skips a message of another installation, which has a consumer group of its own and receives the message, too.
    fn skip_foreign(&mut self, installation: InstallationId, position: MessagePosition) {
        let topic = &self.source.topic;
        metrics::count_foreign_message();
        if self.connection.topics.record_foreign_message(topic, installation) {
            tracing::warn!(topic, installation.id = %installation, "the topic {topic} also has messages of another installation ({installation}), which are skipped: {SHARED_TOPIC_HINT}");
        }
        self.store_decided(position);
    }

    /// Processes the reader's decision about a message.
    fn on_disposition(&mut self, disposition: Disposition) {
        let (Disposition::Ack(position) | Disposition::Reject(position, _)) = disposition;
        match (disposition, self.in_flight.undecided.remove(&(position.partition, position.offset))) {
            (Disposition::Reject(_, cause), Some(message)) => {
                self.send_to_dead_letter_queue(message, InvalidMessage::Unsettled(cause), position);
            }
            (_, message) => {
                self.in_flight.bytes -= message.as_ref().map_or(0, memory_bytes);
                self.store_decided(position);
            }
        }
    }

    /// Publishes a message as a dead letter in the background; the message is decided once the brokers have the dead letter.
    fn send_to_dead_letter_queue(
        &mut self,
        message: OwnedMessage,
        cause: InvalidMessage,
        position: MessagePosition,
    ) {
        let (dead_letter_queue, bytes) = (self.dead_letter_queue.clone(), memory_bytes(&message));
        self.in_flight.dead_letters.spawn(async move {
            dead_letter_queue.send(&message, &cause).await;
            (position, bytes)
        });
    }

    /// Stores the offset up to which all messages are decided, if this decision advances it.
    fn store_decided(&mut self, position: MessagePosition) {
        let Some(offset) = self.in_flight.offsets.decide(position.partition, position.offset) else { return };
        // Fails if the partition was revoked: its new owner then receives the messages again.
        if let Err(error) = self.consumer.store_offset(&self.source.topic, position.partition, offset) {
            tracing::debug!(
                topic = self.source.topic,
                partition = position.partition,
                error = %error,
                "an offset was not stored"
            );
        }
    }

    /// Removes the messages of revoked partitions, and applies the paused state to the new ones.
    fn on_rebalance(&mut self) {
        let Ok(assigned) = self.consumer.assignment() else { return };
        let assigned: BTreeSet<i32> =
            assigned.elements().iter().map(TopicPartitionListElem::partition).collect();
        self.in_flight.offsets.retain_assigned(&assigned);
        if self.consumer.context().has_assignment() {
            self.mark_readable();
        }
        self.apply_paused_state();
    }

    /// Pauses when the reader's channel is full or too many bytes are undecided. Resuming costs a fetch round trip, so it
    /// pauses late and resumes only at half of each limit (hysteresis).
    fn pause_if_full(&mut self) {
        let (capacity, bytes) = (self.deliveries.capacity(), self.in_flight.bytes);
        let has_room = if self.paused {
            capacity >= self.deliveries.max_capacity() / 2 && bytes <= MAX_UNDECIDED_BYTES / 2
        } else {
            bytes <= MAX_UNDECIDED_BYTES
        };
        let pause = !self.in_flight.buffered.is_empty() || !has_room;
        if self.paused != pause {
            self.paused = pause;
            self.apply_paused_state();
        }
    }

    /// Pauses or resumes all assigned partitions. Also needed after a rebalance: a partition that was revoked and assigned
    /// again keeps its state, while a new one is not paused.
    fn apply_paused_state(&self) {
        let Ok(partitions) = self.consumer.assignment() else { return };
        let applied =
            if self.paused { self.consumer.pause(&partitions) } else { self.consumer.resume(&partitions) };
        if let Err(error) = applied {
            tracing::debug!(topic = self.source.topic, error = %error, "the partitions were not paused or resumed");
        }
    }

    /// Reports an error that lasts. Others are left to librdkafka's own retries: brokers and topics disappear and exist again later.
    fn on_error(&mut self, error: &KafkaError) {
        if error.rdkafka_error_code().is_some_and(|code| PERSISTENT_ERRORS.contains(&code)) {
            self.mark_unreadable(error);
        } else {
            tracing::debug!(topic = self.source.topic, error = %error, "receiving failed; it will be retried");
        }
    }

    fn mark_unreadable(&mut self, cause: &KafkaError) {
        self.unreadable = true;
        let topic = &self.source.topic;
        if self.connection.topics.mark_unreadable(topic, &cause.to_string()) {
            let fallback = self.connection.topic_names.kind_of(topic).fallback();
            tracing::warn!(topic, error = %cause, "the topic {topic} cannot be read: {cause}; {fallback}");
        }
    }

    fn mark_readable(&mut self) {
        if std::mem::take(&mut self.unreadable) && self.connection.topics.mark_readable(&self.source.topic) {
            tracing::info!(topic = self.source.topic, "the topic {} can be read again", self.source.topic);
        }
    }
}

fn create_consumer(
    connection: &Connection,
    group: &ConsumerGroup,
) -> Result<StreamConsumer<ConsumerCallbacks>, BrokerError> {
    let callbacks = ConsumerCallbacks::new(connection.availability.clone());
    let consumer = connection.settings.consumer(group).create_with_context(callbacks);
    consumer.map_err(|error| BrokerError::rejected_settings(&error, &connection.settings))
}
