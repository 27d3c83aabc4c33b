//! Work by ticket: what Kafka says is ready is claimed, as much of it in one call as there are free slots.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use broker::{Feed, Incoming, Ticket};

use crate::ask::Asker;
use crate::crew::Crew;
use crate::tide::Tide;

/// The most tickets of one call.
const MOST: usize = 500;

/// How many tickets are held while all slots are busy. They are of our own partitions, and cost little: a feed that stops
/// takes a moment to run again.
pub(crate) const AHEAD: usize = 1000;

/// Takes the tickets of one queue.
pub(crate) struct Taker {
    pub(crate) crew: Arc<Crew>,
    pub(crate) asker: Asker,
    pub(crate) tide: Arc<Tide>,
    pub(crate) feed: Feed<Ticket>,
}

impl Taker {
    /// Claims what comes until the worker stops. Every answer is final for its tickets: whatever it does not grant is
    /// another worker's or over, and what is lost all the same is offered again.
    pub(crate) async fn run(mut self) {
        let mut at_hand: VecDeque<Incoming<Ticket>> = VecDeque::new();
        while self.fill(&mut at_hand).await.is_some() && self.turn(&mut at_hand).await.is_some() {}
        self.count(at_hand.len(), 0);
    }

    /// Waits for a ticket if none is at hand, and takes what else has come; `None` once the worker stops.
    async fn fill(&mut self, at_hand: &mut VecDeque<Incoming<Ticket>>) -> Option<()> {
        let before = at_hand.len();
        if at_hand.is_empty() {
            at_hand.push_back(self.crew.stop.run_until_cancelled(self.feed.next()).await??);
        }
        at_hand.extend(self.feed.more(MOST.saturating_sub(at_hand.len())));
        self.count(before, at_hand.len());
        Some(())
    }

    /// Claims the first of what is at hand, as many as there are slots.
    async fn turn(&mut self, at_hand: &mut VecDeque<Incoming<Ticket>>) -> Option<()> {
        let mut free = match self.crew.free_now() {
            Some(free) => free,
            None => self.tide.short(self.crew.free()).await?,
        };
        let (mut ids, mut declined, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        let mut traces = HashMap::new();
        while let Some(next) = at_hand.front() {
            let runs = self.asker.types.contains(&next.message.name);
            if runs && ids.len() == free.num_permits() {
                break;
            }
            let Incoming { message: Ticket { id, .. }, trace, mark } = at_hand.pop_front()?;
            if runs {
                ids.push(id);
            } else {
                declined.push(id);
            }
            traces.extend(trace.map(|trace| (id, trace)));
            marks.push(mark);
        }
        drop(free.split(free.num_permits() - ids.len()));
        let granted = self.asker.claim(ids, declined).await?;
        if !granted.1.tasks.is_empty() {
            tracing::debug!("{} tasks were granted by ticket", granted.1.tasks.len());
        }
        self.count(marks.len(), 0);
        for mark in marks {
            self.feed.done(mark);
        }
        self.crew.start(granted, free, &traces);
        Some(())
    }

    fn count(&self, before: usize, after: usize) {
        self.tide.came(after.cast_signed() - before.cast_signed());
    }
}
