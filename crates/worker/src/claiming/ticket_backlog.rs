//! Whether tickets come: those who pull keep out of their way, and take all work while Kafka brings none.

use std::time::Duration;

use broker::Broker;
use domain::QueueName;
use tokio::sync::watch;

/// No ticket at hand for so long: it is quiet.
const QUIET: Duration = Duration::from_millis(100);

/// Shared by those who take tickets and the one who pulls.
pub(crate) struct TicketBacklog {
    broker: Broker,
    queues: Vec<QueueName>,
    hands: watch::Sender<Backlog>,
}

/// What those who take tickets have at hand.
#[derive(Debug, Clone, Copy, Default)]
struct Backlog {
    /// Tickets that are not claimed yet.
    tickets: usize,
    /// How many takers wait for a slot.
    short: usize,
}

impl TicketBacklog {
    pub(crate) fn of(broker: Broker, queues: Vec<QueueName>) -> Self {
        Self { broker, queues, hands: watch::Sender::default() }
    }

    /// Whether Kafka brings tickets of all our queues.
    pub(crate) fn is_live(&self) -> bool {
        self.broker.is_serving(&self.queues)
    }

    /// So many tickets have come to hand, or (less than zero) have been dealt with.
    pub(crate) fn came(&self, tickets: isize) {
        self.hands.send_modify(|hands| hands.tickets = hands.tickets.saturating_add_signed(tickets));
    }

    /// Waits for `slots`; who pulls gives way meanwhile.
    pub(crate) async fn short<T>(&self, slots: impl Future<Output = T>) -> T {
        self.hands.send_modify(|hands| hands.short += 1);
        let slots = slots.await;
        self.hands.send_modify(|hands| hands.short -= 1);
        slots
    }

    /// Waits until no ticket has been at hand for a moment.
    pub(crate) async fn until_idle(&self) {
        let mut hands = self.hands.subscribe();
        loop {
            let _ = hands.wait_for(|hands| hands.tickets == 0).await;
            let disturbed = hands.wait_for(|hands| hands.tickets > 0);
            if tokio::time::timeout(QUIET, disturbed).await.is_err() {
                return;
            }
        }
    }

    /// Waits until a ticket needs a slot, or Kafka has come or gone.
    pub(crate) async fn turns(&self, was_live: bool) {
        let mut hands = self.hands.subscribe();
        tokio::select! {
            _ = hands.wait_for(|hands| hands.short > 0) => {}
            () = self.broker.serving_changed(&self.queues, was_live) => {}
        }
    }
}
