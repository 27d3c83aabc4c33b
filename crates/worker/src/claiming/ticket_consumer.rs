//! Consumes the tickets of one queue: claims the tasks that they name, as many in one request as there are free slots, those of the highest
//! priority first.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use broker::{Delivery, MessageReceiver, Ticket};
use domain::DeclinedTask;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use crate::claiming::claim_client::ClaimClient;
use crate::claiming::ticket_backlog::{HeldTickets, TicketBacklog};
use crate::execution::slots::Slots;

/// Tickets that a consumer takes from its subscription while it waits for slots, and thus tickets in one claim request.
const MAX_TICKETS_PER_CLAIM: usize = 500;

/// Tickets that a subscription fetches ahead while all slots are busy. They belong to partitions of this worker anyway and
/// need little memory, and a paused subscription takes a moment to resume.
pub(crate) const TICKET_PREFETCH: usize = 1000;

/// How often a worker that is short of slots asks for urgent tasks, at most: their tickets may lie behind those of a long backlog, which the
/// worker does not see. Not more often, since it may be granted old tasks, too, whose tickets are then claimed in vain.
const URGENT_PULL_PERIOD: Duration = Duration::from_secs(1);

/// Consumes the tickets of one queue.
pub(crate) struct TicketConsumer {
    slots: Arc<Slots>,
    claim_client: ClaimClient,
    subscription: MessageReceiver<Ticket>,
    /// Received and not claimed yet: those of the highest priority first, and of these in the order of their arrival.
    tickets: VecDeque<Delivery<Ticket>>,
    /// When urgent tasks may be asked for again.
    next_urgent_pull: Instant,
    /// This consumer's share of the backlog, tickets of a claim that is under way included.
    held: HeldTickets,
}

impl TicketConsumer {
    /// A consumer of the tickets of `subscription`.
    pub(crate) fn new(
        slots: Arc<Slots>,
        claim_client: ClaimClient,
        subscription: MessageReceiver<Ticket>,
        backlog: Arc<TicketBacklog>,
    ) -> Self {
        let held = HeldTickets::empty(backlog);
        let (tickets, next_urgent_pull) = (VecDeque::new(), Instant::now());
        Self { slots, claim_client, subscription, tickets, next_urgent_pull, held }
    }

    /// Claims tasks until the worker stops or `queue_removed` is cancelled. Tickets are acknowledged whatever the answer is: a task that is not granted belongs
    /// to another worker or has ended. The Backend republishes the ticket of a task that stays ready.
    pub(crate) async fn run(mut self, queue_removed: CancellationToken) {
        while queue_removed.run_until_cancelled(self.receive()).await.flatten().is_some()
            && self.claim_next_batch().await.is_some()
        {}
    }

    /// Waits for a ticket if there is none, and takes the others that have arrived; `None` once the worker stops.
    async fn receive(&mut self) -> Option<()> {
        if self.tickets.is_empty() {
            self.tickets.push_back(self.slots.run_until_stopped(self.subscription.next()).await??);
        }
        self.take_arrived();
        Some(())
    }

    /// Takes the tickets that have arrived, as far as there is room.
    fn take_arrived(&mut self) {
        let room = MAX_TICKETS_PER_CLAIM.saturating_sub(self.tickets.len());
        self.tickets.extend(self.subscription.drain_ready(room));
        // Stable, and one pass over tickets that are in order already.
        self.tickets.make_contiguous().sort_by_key(|ticket| Reverse(ticket.message.priority));
        self.held.set(self.tickets.len());
    }

    /// Claims the tasks of the first tickets, as many as there are free slots, and acknowledges those tickets; `None` once
    /// the worker stops.
    async fn claim_next_batch(&mut self) -> Option<()> {
        let mut acquired = if let Some(acquired) = self.slots.try_acquire() {
            acquired
        } else {
            let acquired = self.held.backlog().while_waiting_for_slot(self.slots.acquire()).await?;
            self.take_arrived();
            acquired
        };
        if self.tickets.len() > acquired.num_permits() && self.next_urgent_pull <= Instant::now() {
            match self.pull_urgent(acquired).await? {
                Some(remaining) => acquired = remaining,
                None => return Some(()),
            }
        }
        let (mut ids, mut declined, mut positions) = (Vec::new(), Vec::new(), Vec::new());
        let mut traces = HashMap::new();
        while let Some(next) = self.tickets.front() {
            let runs_type = self.claim_client.operations.find(&next.message.type_name).is_some();
            if runs_type && ids.len() == acquired.num_permits() {
                break;
            }
            let Delivery { message: Ticket { id, type_name, .. }, trace, position } =
                self.tickets.pop_front()?;
            if runs_type {
                ids.push(id);
            } else {
                declined.push(DeclinedTask { id, type_name });
            }
            traces.extend(trace.map(|trace| (id, trace)));
            positions.push(position);
        }
        drop(acquired.split(acquired.num_permits() - ids.len()));
        let granted = self.claim_client.claim(ids, declined).await?;
        if granted.count() > 0 {
            tracing::debug!("{} tasks were granted by ticket", granted.count());
        }
        self.held.set(self.tickets.len());
        for position in positions {
            self.subscription.ack(position);
        }
        self.slots.dispatch(granted, acquired, &traces);
        Some(())
    }

    /// Asks for urgent tasks in the place of those that the tickets name, and dispatches what is granted. The slots that remain are returned,
    /// if any do; the outer `None`: the worker stops.
    async fn pull_urgent(
        &mut self,
        mut acquired: OwnedSemaphorePermit,
    ) -> Option<Option<OwnedSemaphorePermit>> {
        self.next_urgent_pull = Instant::now() + URGENT_PULL_PERIOD;
        let granted = self.claim_client.pull_urgent(acquired.num_permits()).await?;
        let count = granted.count();
        if count > 0 {
            tracing::debug!("{count} urgent or old tasks were granted by pull");
        }
        let remaining = acquired.split(acquired.num_permits().saturating_sub(count));
        self.slots.dispatch(granted, acquired, &HashMap::new());
        Some(remaining.filter(|remaining| remaining.num_permits() > 0))
    }
}
