//! Workers that wait for work: their asks are held, share statements, and are answered when a task becomes ready.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use domain::{ClaimId, Grant, Report, Reported, TypeName, WorkerName, chain};
use futures_util::future::join_all;
use store::{Granted, Pulled, Puller, Store, StoreError};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::{Claimed, Settle};
use crate::bells::Bells;
use crate::catalogue::Catalogue;
use crate::error::ApiError;
use crate::figures;
use crate::look::Look;
use crate::pipeline::Pipeline;

/// The longest that an ask is held.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

/// The most asks that are held at once; more are told to come back.
const MOST: usize = 10_000;

/// The most tasks that one statement takes.
const SEATS: u32 = 500;

/// The way in: asks for whatever waits of certain types.
#[derive(Debug, Clone)]
pub(crate) struct Pulls {
    asks: mpsc::Sender<Held>,
    places: Arc<Semaphore>,
}

/// An ask that is held.
#[derive(Debug)]
struct Held {
    puller: Puller,
    types: Arc<BTreeSet<TypeName>>,
    until: Instant,
    look: Look,
    answer: oneshot::Sender<Vec<Claimed>>,
    /// Its place among the most that are held.
    _place: OwnedSemaphorePermit,
}

/// Holds the asks. One statement is in flight at a time; what comes meanwhile shares the next.
pub(crate) struct Holder {
    store: Store,
    catalogue: Catalogue,
    bells: Arc<Bells>,
    /// For what was granted to those who had hung up.
    settle: Pipeline<Settle>,
    asks: mpsc::Receiver<Held>,
    held: Vec<Held>,
    /// How often everybody looks anyway.
    slow_check: Duration,
}

impl Pulls {
    pub(crate) fn new(
        store: Store,
        catalogue: Catalogue,
        bells: Arc<Bells>,
        settle: Pipeline<Settle>,
        slow_check: Duration,
    ) -> (Self, Holder) {
        let (sender, asks) = mpsc::channel(MOST);
        let holder = Holder { store, catalogue, bells, settle, asks, held: Vec::new(), slow_check };
        (Self { asks: sender, places: Arc::new(Semaphore::new(MOST)) }, holder)
    }

    /// Waits until `puller` has been granted something that was ready for `age`, or until `until`.
    pub(crate) async fn ask(
        &self,
        puller: Puller,
        types: Vec<TypeName>,
        age: Duration,
        until: Instant,
    ) -> Result<Vec<Claimed>, ApiError> {
        let (answer, answered) = oneshot::channel();
        let types = Arc::new(types.into_iter().collect());
        let place = self.places.clone().try_acquire_owned().map_err(|_| ApiError::Busy)?;
        let look = Look::new(age, Instant::now());
        let held = Held { puller, types, until, look, answer, _place: place };
        match self.asks.try_send(held) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(ApiError::Busy),
            // The service is stopping: it has nothing to give.
            Err(TrySendError::Closed(_)) => return Ok(Vec::new()),
        }
        answered.await.map_err(|_| ApiError::Away("the database"))
    }
}

impl Holder {
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
                () = self.bells.something_ready() => {}
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
    fn hold(&mut self, ask: Held) {
        self.held.retain(|held| held.puller.claim != ask.puller.claim);
        self.held.push(ask);
    }

    /// Looks for work for those whose look is due. Who asks for the same types and the same age shares a statement.
    async fn serve(&mut self, now: Instant) {
        let known = self.catalogue.all();
        let mut groups: BTreeMap<(Arc<BTreeSet<TypeName>>, Duration), Vec<Held>> = BTreeMap::new();
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
            match self.serve_alike(asks, &types, age).await {
                Ok(unserved) => self.held.extend(unserved),
                // Dropped without an answer: the workers are told that the database is away.
                Err(error) if error.is_unavailable() => {
                    tracing::debug!(error = %chain(&error), "asks for work failed");
                    return;
                }
                Err(error) => tracing::error!(error = %chain(&error), "asks for work failed"),
            }
        }
    }

    /// Serves asks for the same types and age, the oldest first, until nothing is left to take; the rest come back.
    async fn serve_alike(
        &mut self,
        mut asks: Vec<Held>,
        types: &[TypeName],
        age: Duration,
    ) -> Result<Vec<Held>, StoreError> {
        let mut unserved = Vec::new();
        let mut more = true;
        while more && !asks.is_empty() {
            let mut seats = 0;
            let fits = asks.iter().take_while(|ask| {
                seats += ask.puller.slots;
                seats <= SEATS
            });
            let turn: Vec<Held> = asks.drain(..fits.count().max(1)).collect();
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
        turn: Vec<Held>,
        types: &[TypeName],
        age: Duration,
        unserved: &mut Vec<Held>,
    ) -> Result<usize, StoreError> {
        let pullers: Vec<Puller> = turn.iter().map(|ask| ask.puller.clone()).collect();
        let sent = Instant::now();
        let Pulled { granted, refused } = match self.store.pull(&pullers, types, age).await {
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
        figures::statement("pull", count, sent.into_std());
        figures::granted("pull", count);
        let mut grants: HashMap<ClaimId, Vec<Claimed>> = HashMap::new();
        for Granted { grant, .. } in granted {
            grants.entry(grant.claim).or_default().push(Claimed { grant, sent });
        }
        let (mut unheard, mut repeats) = (Vec::new(), Vec::new());
        for ask in turn {
            match grants.remove(&ask.puller.claim) {
                Some(tasks) => unheard.extend(ask.answer_with(tasks)),
                None if refused.contains(&ask.puller.claim) => repeats.push(ask),
                None => unserved.push(ask.looked_for()),
            }
        }
        self.give_back(unheard).await;
        self.refuse(repeats, types).await;
        Ok(count)
    }

    /// Answers asks that repeat others, here or at another Backend, by what was granted to those. If that is not committed
    /// yet, the worker is told to come back, and finds it then.
    async fn refuse(&self, repeats: Vec<Held>, types: &[TypeName]) {
        if !repeats.is_empty() {
            // What they were meant to take is ready for the others.
            self.bells.ready_here(types);
        }
        for ask in repeats {
            match held(&self.store, &ask.puller.worker, ask.puller.claim).await {
                // If nobody hears it, it stays granted: who repeats an ask will repeat it once more.
                Ok(again) if !again.is_empty() => drop(ask.answer_with(again)),
                // Dropped without an answer: the worker is told to come back.
                Ok(_) => {}
                Err(error) => tracing::debug!(error = %chain(&error), "a repeated ask could not be answered"),
            }
        }
    }

    /// Releases what was granted to workers that had hung up.
    async fn give_back(&self, unheard: Vec<Claimed>) {
        let releases = unheard.into_iter().map(|Claimed { grant, .. }| {
            let Grant { id, attempt, claim, trace, .. } = grant;
            self.settle.put(Report { id, attempt, claim, reported: Reported::Released, trace })
        });
        for lost in join_all(releases).await.into_iter().filter_map(Result::err) {
            tracing::warn!(error = %chain(&lost), "a task that nobody heard of could not be given back");
        }
    }
}

/// What runs under a claim: the answer to an ask that is repeated.
pub(crate) async fn held(
    store: &Store,
    worker: &WorkerName,
    claim: ClaimId,
) -> Result<Vec<Claimed>, StoreError> {
    let sent = Instant::now();
    let held = store.held(worker, claim).await?.into_iter();
    Ok(held.map(|Granted { grant, .. }| Claimed { grant, sent }).collect())
}

impl Held {
    /// The next look is not its first.
    fn looked_for(mut self) -> Self {
        self.puller.new = false;
        self
    }

    /// Answers; if the worker has hung up, what it was granted comes back.
    fn answer_with(self, tasks: Vec<Claimed>) -> Vec<Claimed> {
        self.answer.send(tasks).err().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use store::Clock;
    use testkit::Scratch;

    use super::*;

    #[tokio::test]
    async fn an_ask_beyond_the_most_that_are_held_is_told_so() {
        let scratch = Scratch::sqlite();
        let store = Store::new(scratch.open(), Clock::System);
        let bells = Arc::new(Bells::default());
        let (settle, _writers) = Pipeline::new(Settle { store: store.clone(), bells: bells.clone() });
        let (mut pulls, mut holder) = Pulls::new(store, Catalogue::default(), bells, settle, LONGEST);
        pulls.places = Arc::new(Semaphore::new(1));
        let puller =
            || Puller { claim: ClaimId::random(), worker: "w".parse().unwrap(), slots: 1, new: true };
        let until = Instant::now() + LONGEST;
        let mut first = Box::pin(pulls.ask(puller(), Vec::new(), Duration::ZERO, until));
        assert!(futures_util::poll!(&mut first).is_pending());
        let held = holder.asks.recv().await.unwrap();
        assert!(
            matches!(pulls.ask(puller(), Vec::new(), Duration::ZERO, until).await, Err(ApiError::Busy)),
            "the queue is free"
        );
        held.answer_with(Vec::new());
        assert!(first.await.is_ok());
        let mut next = Box::pin(pulls.ask(puller(), Vec::new(), Duration::ZERO, until));
        assert!(futures_util::poll!(&mut next).is_pending(), "its place is free again");
    }
}
