//! Decides whether a free slot goes to a Kafka ticket or to pull. While tickets arrive, pull only steals old tasks and yields free slots to
//! tickets; while Kafka is unavailable, pull takes everything.

use std::sync::Arc;
use std::time::Duration;

use broker::Broker;
use domain::QueueName;
use tokio::sync::watch;

use crate::registry::active_operations::ActiveOperations;

/// How long no ticket must have been held before the backlog counts as idle.
const IDLE_AFTER: Duration = Duration::from_millis(100);

/// The tickets that the worker holds and has not claimed, shared by the ticket consumers and the steal loop.
pub(crate) struct TicketBacklog {
    broker: Broker,
    operations: ActiveOperations,
    backlog: watch::Sender<Backlog>,
}

/// The sums over all ticket consumers of a worker.
#[derive(Debug, Clone, Copy, Default)]
struct Backlog {
    /// Tickets that are held and not claimed yet.
    tickets: usize,
    /// Consumers that hold tickets and wait for a slot.
    waiting_consumers: usize,
}

/// One consumer's share of the tickets in a backlog. Dropping it takes the share out again.
pub(crate) struct HeldTickets {
    backlog: Arc<TicketBacklog>,
    count: usize,
}

/// A consumer that counts as waiting for a slot until this is dropped.
struct WaitingConsumer<'a>(&'a TicketBacklog);

impl TicketBacklog {
    /// The empty backlog of a worker that consumes the tickets of the queues of `operations`.
    pub(crate) fn new(broker: Broker, operations: ActiveOperations) -> Self {
        Self { broker, operations, backlog: watch::Sender::default() }
    }

    /// Whether Kafka can deliver tickets of all queues.
    pub(crate) fn is_available(&self) -> bool {
        self.broker.is_serving(&self.operations.queues())
    }

    /// Waits for `slot` on behalf of a consumer that holds tickets; pull yields its slots meanwhile.
    pub(crate) async fn while_waiting_for_slot<T>(&self, slot: impl Future<Output = T>) -> T {
        let _waiting = WaitingConsumer::enter(self);
        slot.await
    }

    /// Waits until no ticket has been held for [`IDLE_AFTER`].
    pub(crate) async fn until_idle(&self) {
        let mut backlog = self.backlog.subscribe();
        loop {
            let _ = backlog.wait_for(|backlog| backlog.tickets == 0).await;
            let ticket_arrives = backlog.wait_for(|backlog| backlog.tickets > 0);
            if tokio::time::timeout(IDLE_AFTER, ticket_arrives).await.is_err() {
                return;
            }
        }
    }

    /// Waits until a ticket needs a slot, until [`TicketBacklog::is_available`] is no longer `was_available`, or until the worker has other
    /// operations.
    pub(crate) async fn until_ticket_needs_slot_or_availability_changes(&self, was_available: bool) {
        let mut backlog = self.backlog.subscribe();
        let operations = self.operations.current();
        let queues: Vec<QueueName> = operations.queues().into_iter().collect();
        tokio::select! {
            _ = backlog.wait_for(|backlog| backlog.waiting_consumers > 0) => {}
            () = self.broker.serving_changed(&queues, was_available) => {}
            () = self.operations.changed_from(&operations) => {}
        }
    }
}

impl HeldTickets {
    /// No tickets yet.
    pub(crate) fn empty(backlog: Arc<TicketBacklog>) -> Self {
        Self { backlog, count: 0 }
    }

    /// Sets how many tickets this consumer holds.
    pub(crate) fn set(&mut self, count: usize) {
        let before = std::mem::replace(&mut self.count, count);
        self.backlog.backlog.send_modify(|backlog| backlog.tickets = backlog.tickets - before + count);
    }

    /// The backlog of which this is a share.
    pub(crate) fn backlog(&self) -> &TicketBacklog {
        &self.backlog
    }
}

impl Drop for HeldTickets {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl<'a> WaitingConsumer<'a> {
    fn enter(backlog: &'a TicketBacklog) -> Self {
        backlog.backlog.send_modify(|backlog| backlog.waiting_consumers += 1);
        Self(backlog)
    }
}

impl Drop for WaitingConsumer<'_> {
    fn drop(&mut self) {
        self.0.backlog.send_modify(|backlog| backlog.waiting_consumers -= 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;

    use broker::Settings;

    use super::*;
    use crate::builtin::Echo;
    use crate::registry::operations::Operations;

    /// A backlog whose Kafka is unavailable: nothing listens on port 1.
    fn backlog() -> TicketBacklog {
        let broker = Broker::open(Settings::new("127.0.0.1:1")).unwrap();
        let operations = Operations::new().with(Echo);
        TicketBacklog::new(broker, ActiveOperations::new(Arc::new(operations)))
    }

    /// Whether a pull would be preempted now.
    async fn is_preempted(backlog: &TicketBacklog) -> bool {
        tokio::select! {
            biased;
            () = backlog.until_ticket_needs_slot_or_availability_changes(false) => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn a_consumer_that_waits_for_a_slot_preempts_pull_until_its_wait_is_dropped() {
        let backlog = backlog();
        assert!(!is_preempted(&backlog).await);
        {
            let mut waiting = pin!(backlog.while_waiting_for_slot(pending::<()>()));
            tokio::select! {
                biased;
                () = &mut waiting => unreachable!("the slot never becomes free"),
                () = std::future::ready(()) => {}
            }
            assert!(is_preempted(&backlog).await);
        }
        assert!(!is_preempted(&backlog).await, "a dropped wait does not count");
    }

    #[tokio::test]
    async fn dropping_a_consumer_removes_its_tickets_from_the_backlog() {
        let backlog = Arc::new(backlog());
        let (mut first, mut second) =
            (HeldTickets::empty(Arc::clone(&backlog)), HeldTickets::empty(Arc::clone(&backlog)));
        first.set(3);
        second.set(2);
        first.set(1);
        assert_eq!(backlog.backlog.borrow().tickets, 3);
        drop(first);
        assert_eq!(backlog.backlog.borrow().tickets, 2);
        drop(second);
        tokio::time::timeout(Duration::from_secs(5), backlog.until_idle())
            .await
            .expect("the backlog is idle");
    }
}
