//! Workers that wait for work: their asks are held, share statements, and are answered when a task becomes ready.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use database::DatabaseError;
use domain::{ClaimId, Grant, Report, ReportOutcome, TypeName, WorkerName};
use futures_util::future::join_all;
use store::{Granted, PullRequest, PullResult, Store};
use telemetry::error_chain;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::{Settle, TimedGrant};
use crate::batching::batcher::Batcher;
use crate::catalogue::Catalogue;
use crate::error::ApiError;
use crate::long_poll::look_schedule::LookSchedule;
use crate::metrics;
use crate::notify::notifier::Notifier;

/// The longest that an ask is held.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// The most asks that are held at once; more are told to come back.
const MOST: usize = 10_000;

/// The most tasks that one statement takes.
const MAX_TASKS_PER_STATEMENT: u32 = 500;

/// The way in: asks for whatever waits of certain types.
#[derive(Debug, Clone)]
pub(crate) struct LongPoll {
    asks: mpsc::Sender<WaitingRequest>,
    places: Arc<Semaphore>,
}

/// An ask that is held.
#[derive(Debug)]
struct WaitingRequest {
    puller: PullRequest,
    types: Arc<BTreeSet<TypeName>>,
    until: Instant,
    look: LookSchedule,
    answer: oneshot::Sender<Vec<TimedGrant>>,
    /// Its place among the most that are held.
    _place: OwnedSemaphorePermit,
}

/// Holds the asks. One statement is in flight at a time; what comes meanwhile shares the next.
pub(crate) struct LongPollQueue {
    store: Store,
    catalogue: Catalogue,
    bells: Arc<Notifier>,
    /// For what was granted to those who had hung up.
    settle: Batcher<Settle>,
    asks: mpsc::Receiver<WaitingRequest>,
    held: Vec<WaitingRequest>,
    /// How often everybody looks anyway.
    slow_check: Duration,
}

impl LongPoll {
    pub(crate) fn new(
        store: Store,
        catalogue: Catalogue,
        bells: Arc<Notifier>,
        settle: Batcher<Settle>,
        slow_check: Duration,
    ) -> (Self, LongPollQueue) {
        let (sender, asks) = mpsc::channel(MOST);
        let holder = LongPollQueue { store, catalogue, bells, settle, asks, held: Vec::new(), slow_check };
        (Self { asks: sender, places: Arc::new(Semaphore::new(MOST)) }, holder)
    }

    /// Waits until `puller` has been granted something that was ready for `age`, or until `until`.
    pub(crate) async fn ask(
        &self,
        puller: PullRequest,
        types: Vec<TypeName>,
        age: Duration,
        until: Instant,
    ) -> Result<Vec<TimedGrant>, ApiError> {
        let (answer, answered) = oneshot::channel();
        let types = Arc::new(types.into_iter().collect());
        let place = self.places.clone().try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
        let look = LookSchedule::new(age, Instant::now());
        let held = WaitingRequest { puller, types, until, look, answer, _place: place };
        match self.asks.try_send(held) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(ApiError::Overloaded),
            // The service is stopping: it has nothing to give.
            Err(TrySendError::Closed(_)) => return Ok(Vec::new()),
        }
        answered.await.map_err(|_| ApiError::Unavailable("the database"))
    }
}

impl LongPollQueue {
    /// Serves asks until `stop`; then everyone is answered with what there is: nothing.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut slow = tokio::time::interval(self.slow_check);
        loop {
            let next = self
                .held
                .iter()
                .map(|ask| ask.look.next().map_or(ask.until, |look| look.min(ask.until)))
                .min();
            let mut everything = false;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ask) = self.asks.recv() => self.hold(ask),
                () = self.bells.ready_notified() => {}
                _ = slow.tick() => everything = true,
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
            while let Ok(ask) = self.asks.try_recv() {
                self.hold(ask);
            }
            let (rung, now) = (self.bells.rung(), Instant::now());
            self.held.retain(|ask| !ask.answer.is_closed());
            for ask in &mut self.held {
                if rung.any_of(&ask.types) {
                    ask.look.rung(now);
                }
                if everything {
                    ask.look.hurry(now);
                }
            }
            self.serve(now).await;
            let now = Instant::now();
            for ask in self.held.extract_if(.., |ask| ask.until <= now) {
                ask.answer_with(Vec::new());
            }
        }
        self.asks.close();
        while let Ok(ask) = self.asks.try_recv() {
            self.held.push(ask);
        }
        for ask in self.held {
            ask.answer_with(Vec::new());
        }
    }

    /// Holds an ask; one that repeats another takes its place.
    fn hold(&mut self, ask: WaitingRequest) {
        self.held.retain(|held| held.puller.claim != ask.puller.claim);
        self.held.push(ask);
    }

    /// Looks for work for those whose look is due. Who asks for the same types and the same age shares a statement.
    async fn serve(&mut self, now: Instant) {
        let known = self.catalogue.all();
        let mut groups: BTreeMap<(Arc<BTreeSet<TypeName>>, Duration), Vec<WaitingRequest>> = BTreeMap::new();
        for mut ask in self.held.extract_if(.., |ask| ask.look.is_due(now)) {
            ask.look.looks(now);
            groups.entry((ask.types.clone(), ask.look.age())).or_default().push(ask);
        }
        for ((types, age), asks) in groups {
            // A type that nobody has registered has no tasks, and the store shall not learn of it. It may come: the asks stay.
            let types: Vec<TypeName> =
                types.iter().filter(|name| known.contains_key(*name)).cloned().collect();
            if types.is_empty() {
                self.held.extend(asks);
                continue;
            }
            match self.serve_group(asks, &types, age).await {
                Ok(unserved) => self.held.extend(unserved),
                // Dropped without an answer: the workers are told that the database is away.
                Err(error) if error.is_unavailable() => {
                    tracing::debug!(error = %error_chain(&error), "asks for work failed");
                    return;
                }
                Err(error) => tracing::error!(error = %error_chain(&error), "asks for work failed"),
            }
        }
    }

    /// Serves asks for the same types and age, the oldest first, until nothing is left to take; the rest come back.
    async fn serve_group(
        &mut self,
        mut asks: Vec<WaitingRequest>,
        types: &[TypeName],
        age: Duration,
    ) -> Result<Vec<WaitingRequest>, DatabaseError> {
        let mut unserved = Vec::new();
        let mut more = true;
        while more && !asks.is_empty() {
            let mut seats = 0;
            let fits = asks.iter().take_while(|ask| {
                seats += ask.puller.slots;
                seats <= MAX_TASKS_PER_STATEMENT
            });
            let turn: Vec<WaitingRequest> = asks.drain(..fits.count().max(1)).collect();
            let seats: usize = turn.iter().map(|ask| ask.puller.slots as usize).sum();
            let granted = self.pull(turn, types, age, &mut unserved).await?;
            more = granted == seats;
        }
        unserved.extend(asks);
        Ok(unserved)
    }

    /// One statement for all of `turn`; those who got nothing are left in `unserved`. Says how many tasks were granted.
    async fn pull(
        &mut self,
        turn: Vec<WaitingRequest>,
        types: &[TypeName],
        age: Duration,
        unserved: &mut Vec<WaitingRequest>,
    ) -> Result<usize, DatabaseError> {
        let pullers: Vec<PullRequest> = turn.iter().map(|ask| ask.puller.clone()).collect();
        let sent = Instant::now();
        let PullResult { granted, refused } = match self.store.claim_by_type(&pullers, types, age).await {
            // Another transaction stood in the way: the next look is soon enough.
            Err(error) if error.is_conflict() => {
                unserved.extend(turn);
                return Ok(0);
            }
            Err(error) => return Err(error),
            Ok(pulled) => pulled,
        };
        self.bells.alarm.set(granted.iter().map(|granted| granted.grant.remaining_ms));
        let count = granted.len();
        metrics::statement("pull", count, sent.into_std());
        metrics::granted("pull", count);
        let mut grants: HashMap<ClaimId, Vec<TimedGrant>> = HashMap::new();
        for Granted { grant, .. } in granted {
            grants.entry(grant.claim).or_default().push(TimedGrant { grant, sent });
        }
        let (mut unheard, mut repeats) = (Vec::new(), Vec::new());
        for ask in turn {
            match grants.remove(&ask.puller.claim) {
                Some(tasks) => unheard.extend(ask.answer_with(tasks)),
                None if refused.contains(&ask.puller.claim) => repeats.push(ask),
                None => unserved.push(ask.mark_looked()),
            }
        }
        self.release_undelivered(unheard).await;
        self.refuse(repeats, types).await;
        Ok(count)
    }

    /// Answers asks that repeat others, here or at another Backend, by what was granted to those. If that is not committed
    /// yet, the worker is told to come back, and finds it then.
    async fn refuse(&self, repeats: Vec<WaitingRequest>, types: &[TypeName]) {
        if !repeats.is_empty() {
            // What they were meant to take is ready for the others.
            self.bells.notify_ready_locally(types);
        }
        for ask in repeats {
            match held(&self.store, &ask.puller.worker, ask.puller.claim).await {
                // If nobody hears it, it stays granted: who repeats an ask will repeat it once more.
                Ok(again) if !again.is_empty() => drop(ask.answer_with(again)),
                // Dropped without an answer: the worker is told to come back.
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(error = %error_chain(&error), "a repeated ask could not be answered")
                }
            }
        }
    }

    /// Releases what was granted to workers that had hung up.
    async fn release_undelivered(&self, unheard: Vec<TimedGrant>) {
        let releases = unheard.into_iter().map(|TimedGrant { grant, .. }| {
            let Grant { id, attempt, claim, trace, .. } = grant;
            self.settle.put(Report { id, attempt, claim, reported: ReportOutcome::Released, trace })
        });
        for lost in join_all(releases).await.into_iter().filter_map(Result::err) {
            tracing::warn!(error = %error_chain(&lost), "a task that nobody heard of could not be given back");
        }
    }
}

/// What runs under a claim: the answer to an ask that is repeated.
pub(crate) async fn held(
    store: &Store,
    worker: &WorkerName,
    claim: ClaimId,
) -> Result<Vec<TimedGrant>, DatabaseError> {
    let sent = Instant::now();
    let held = store.grants_under_claim(worker, claim).await?.into_iter();
    Ok(held.map(|Granted { grant, .. }| TimedGrant { grant, sent }).collect())
}

impl WaitingRequest {
    /// The next look is not its first.
    fn mark_looked(mut self) -> Self {
        self.puller.is_first_look = false;
        self
    }

    /// Answers; if the worker has hung up, what it was granted comes back.
    fn answer_with(self, tasks: Vec<TimedGrant>) -> Vec<TimedGrant> {
        self.answer.send(tasks).err().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use database::Clock;
    use testkit::Scratch;

    use super::*;

    #[tokio::test]
    async fn an_ask_beyond_the_most_that_are_held_is_told_so() {
        let scratch = Scratch::sqlite();
        let store = Store::new(scratch.open(), Clock::System);
        let bells = Arc::new(Notifier::default());
        let (settle, _writers) = Batcher::new(Settle { store: store.clone(), bells: bells.clone() });
        let (mut pulls, mut holder) = LongPoll::new(store, Catalogue::default(), bells, settle, LONGEST);
        pulls.places = Arc::new(Semaphore::new(1));
        let puller = || PullRequest {
            claim: ClaimId::random(),
            worker: "w".parse().unwrap(),
            slots: 1,
            is_first_look: true,
        };
        let until = Instant::now() + LONGEST;
        let mut first = Box::pin(pulls.ask(puller(), Vec::new(), Duration::ZERO, until));
        assert!(futures_util::poll!(&mut first).is_pending());
        let held = holder.asks.recv().await.unwrap();
        assert!(
            matches!(pulls.ask(puller(), Vec::new(), Duration::ZERO, until).await, Err(ApiError::Overloaded)),
            "the queue is free"
        );
        held.answer_with(Vec::new());
        assert!(first.await.is_ok());
        let mut next = Box::pin(pulls.ask(puller(), Vec::new(), Duration::ZERO, until));
        assert!(futures_util::poll!(&mut next).is_pending(), "its place is free again");
    }
}
