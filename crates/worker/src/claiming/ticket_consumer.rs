//! Work by ticket: what Kafka says is ready is claimed, as much of it in one call as there are free slots.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use broker::{Delivery, Subscription, Ticket};
use domain::DeclinedTask;

use crate::claiming::claim_client::ClaimClient;
use crate::claiming::ticket_backlog::TicketBacklog;
use crate::execution::slots::Slots;

/// The most tickets of one call.
const MOST: usize = 500;

/// How many tickets are held while all slots are busy. They are of our own partitions, and cost little: a feed that stops
/// takes a moment to run again.
pub(crate) const TICKET_PREFETCH: usize = 1000;

/// Takes the tickets of one queue.
pub(crate) struct TicketConsumer {
    pub(crate) slots: Arc<Slots>,
    pub(crate) claim_client: ClaimClient,
    pub(crate) backlog: Arc<TicketBacklog>,
    pub(crate) feed: Subscription<Ticket>,
}

impl TicketConsumer {
    /// Claims what comes until the worker stops. Every answer is final for its tickets: whatever it does not grant is
    /// another worker's or over, and what is lost all the same is offered again.
    pub(crate) async fn run(mut self) {
        let mut at_hand: VecDeque<Delivery<Ticket>> = VecDeque::new();
        while self.fill(&mut at_hand).await.is_some() && self.turn(&mut at_hand).await.is_some() {}
        self.count(at_hand.len(), 0);
    }

    /// Waits for a ticket if none is at hand, and takes what else has come; `None` once the worker stops.
    async fn fill(&mut self, at_hand: &mut VecDeque<Delivery<Ticket>>) -> Option<()> {
        let before = at_hand.len();
        if at_hand.is_empty() {
            at_hand.push_back(self.slots.stop.run_until_cancelled(self.feed.next()).await??);
        }
        at_hand.extend(self.feed.drain_ready(MOST.saturating_sub(at_hand.len())));
        self.count(before, at_hand.len());
        Some(())
    }

    /// Claims the first of what is at hand, as many as there are slots.
    async fn turn(&mut self, at_hand: &mut VecDeque<Delivery<Ticket>>) -> Option<()> {
        let mut free = match self.slots.try_acquire() {
            Some(free) => free,
            None => self.backlog.short(self.slots.free()).await?,
        };
        let (mut ids, mut declined, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        let mut traces = HashMap::new();
        while let Some(next) = at_hand.front() {
            let runs = self.claim_client.types.contains(&next.message.name);
            if runs && ids.len() == free.num_permits() {
                break;
            }
            let Delivery { message: Ticket { id, name, .. }, trace, mark } = at_hand.pop_front()?;
            if runs {
                ids.push(id);
            } else {
                declined.push(DeclinedTask { id, name });
            }
            traces.extend(trace.map(|trace| (id, trace)));
            marks.push(mark);
        }
        drop(free.split(free.num_permits() - ids.len()));
        let granted = self.claim_client.claim(ids, declined).await?;
        if !granted.1.tasks.is_empty() {
            tracing::debug!("{} tasks were granted by ticket", granted.1.tasks.len());
        }
        self.count(marks.len(), 0);
        for mark in marks {
            self.feed.ack(mark);
        }
        self.slots.start(granted, free, &traces);
        Some(())
    }

    fn count(&self, before: usize, after: usize) {
        self.backlog.came(after.cast_signed() - before.cast_signed());
    }
}
