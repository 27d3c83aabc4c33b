//! The ticket consumers of a worker with Kafka: one for each queue of its operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use broker::{Broker, BrokerError};
use domain::{InstallationId, QueueName};
use telemetry::error_chain;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::claiming::claim_client::ClaimClient;
use crate::claiming::ticket_backlog::TicketBacklog;
use crate::claiming::ticket_consumer::{TICKET_PREFETCH, TicketConsumer};
use crate::execution::slots::Slots;

/// What every consumer needs.
pub(crate) struct TicketConsumers {
    pub(crate) broker: Broker,
    pub(crate) installation: InstallationId,
    pub(crate) slots: Arc<Slots>,
    pub(crate) claim_client: ClaimClient,
    pub(crate) backlog: Arc<TicketBacklog>,
    /// Tracks the consumers.
    pub(crate) consumers: TaskTracker,
    /// Tracks what they read from, which must run until the reports are flushed.
    pub(crate) consume_loops: TaskTracker,
}

/// The consumer of each queue; it ends when its guard is dropped.
pub(crate) type ConsumersByQueue = BTreeMap<QueueName, DropGuard>;

impl TicketConsumers {
    /// Starts a consumer for each queue. Fails if librdkafka refuses a setting.
    pub(crate) fn start(&self) -> Result<ConsumersByQueue, BrokerError> {
        let queues = self.claim_client.operations.queues().into_iter();
        queues.map(|queue| self.start_one(&queue).map(|guard| (queue, guard))).collect()
    }

    /// Starts and stops consumers when the operations have other queues, until the worker stops.
    pub(crate) async fn follow_operations(self, mut by_queue: ConsumersByQueue) {
        let ClaimClient { operations, stop, .. } = self.claim_client.clone();
        let mut known = operations.current();
        while stop.run_until_cancelled(operations.changed_from(&known)).await.is_some() {
            known = operations.current();
            let queues = known.queues();
            by_queue.retain(|queue, _| queues.contains(queue));
            for queue in queues {
                if by_queue.contains_key(&queue) {
                    continue;
                }
                match self.start_one(&queue) {
                    Ok(guard) => drop(by_queue.insert(queue, guard)),
                    Err(error) => error!("cannot subscribe to queue {queue}: {}", error_chain(&error)),
                }
            }
        }
    }

    fn start_one(&self, queue: &QueueName) -> Result<DropGuard, BrokerError> {
        let (subscription, consume_loop) = self.broker.tickets(self.installation, queue, TICKET_PREFETCH)?;
        self.consume_loops.spawn(consume_loop.run());
        let (slots, backlog) = (Arc::clone(&self.slots), Arc::clone(&self.backlog));
        let consumer = TicketConsumer::new(slots, self.claim_client.clone(), subscription, backlog);
        let queue_removed = CancellationToken::new();
        self.consumers.spawn(consumer.run(queue_removed.clone()));
        Ok(queue_removed.drop_guard())
    }
}
