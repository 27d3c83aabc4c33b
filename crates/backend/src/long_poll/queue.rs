//! The queue of claim requests that wait for tasks: they share queries, and are answered when a task becomes ready.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use database::DatabaseError;
use domain::TypeName;
use store::{PullRequest, PullResult, Store};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::catalogue::Catalogue;
use crate::error::ApiError;
use crate::lifecycle::claim::{GrantedBy, TimedGrant, record_granted};
use crate::lifecycle::settle::Settler;
use crate::long_poll::delivery::{Delivery, answer_duplicates, deliver, release_undelivered};
use crate::long_poll::query_schedule::QuerySchedule;
use crate::long_poll::waiting_request::{WaitError, WaitingRequest};
use crate::metrics;
use crate::notify::notifier::Notifier;

/// The longest that a claim request waits.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(30);

/// The most claim requests that wait at once; further ones are refused as overload.
const MAX_WAITING_REQUESTS: usize = 10_000;

/// The most tasks that one query grants.
const MAX_TASKS_PER_STATEMENT: u32 = 500;

/// The handle with which request handlers wait for tasks.
#[derive(Debug, Clone)]
pub(crate) struct LongPoll {
    requests: mpsc::Sender<WaitingRequest>,
    permits: Arc<Semaphore>,
}

/// The loop that serves the waiting requests. One query is in flight at a time; requests that come meanwhile share the next.
pub(crate) struct LongPollQueue {
    store: Store,
    catalogue: Catalogue,
    notifier: Arc<Notifier>,
    /// Releases what was granted to requests that had been dropped.
    settler: Settler,
    requests: mpsc::Receiver<WaitingRequest>,
    waiting: Vec<WaitingRequest>,
    /// How often every request queries without having been notified.
    slow_check: Duration,
}

impl LongPoll {
    /// A handle, and the queue that must run for its requests to be answered.
    pub(crate) fn new(
        store: Store,
        catalogue: Catalogue,
        notifier: Arc<Notifier>,
        settler: Settler,
        slow_check: Duration,
    ) -> (Self, LongPollQueue) {
        let (sender, requests) = mpsc::channel(MAX_WAITING_REQUESTS);
        let waiting = Vec::new();
        let queue = LongPollQueue { store, catalogue, notifier, settler, requests, waiting, slow_check };
        (Self { requests: sender, permits: Arc::new(Semaphore::new(MAX_WAITING_REQUESTS)) }, queue)
    }

    /// Waits until `pull` has been granted tasks of `types` that were ready for `age`, or until `until`.
    pub(crate) async fn wait(
        &self,
        pull: PullRequest,
        types: Vec<TypeName>,
        age: Duration,
        until: Instant,
    ) -> Result<Vec<TimedGrant>, ApiError> {
        let (answer, answered) = oneshot::channel();
        let types = Arc::new(types.into_iter().collect());
        let permit = self.permits.clone().try_acquire_owned().map_err(|_| ApiError::Overloaded)?;
        let schedule = QuerySchedule::new(age, Instant::now());
        let request = WaitingRequest { pull, types, until, schedule, answer, _permit: permit };
        match self.requests.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(ApiError::Overloaded),
            // The service is stopping and grants nothing more.
            Err(TrySendError::Closed(_)) => return Ok(Vec::new()),
        }
        match answered.await {
            Ok(answer) => answer.map_err(ApiError::from),
            Err(_) => Err(ApiError::Internal("the long poll queue has ended".into())),
        }
    }
}

impl LongPollQueue {
    /// Serves requests until `stop`; then answers every request with nothing.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut slow_check = tokio::time::interval(self.slow_check);
        loop {
            let next = self.waiting.iter().map(WaitingRequest::due).min();
            let mut query_all = false;
            tokio::select! {
                () = stop.cancelled() => break,
                Some(request) = self.requests.recv() => self.add(request),
                () = self.notifier.ready_notified() => {}
                _ = slow_check.tick() => query_all = true,
                () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
            while let Ok(request) = self.requests.try_recv() {
                self.add(request);
            }
            let now = Instant::now();
            self.update_schedules(now, query_all);
            self.serve(now).await;
            let now = Instant::now();
            for request in self.waiting.extract_if(.., |request| request.until <= now) {
                request.answer_with(Vec::new());
            }
        }
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            self.waiting.push(request);
        }
        for request in self.waiting {
            request.answer_with(Vec::new());
        }
    }

    /// Adds a request. One that repeats a waiting one replaces it.
    fn add(&mut self, request: WaitingRequest) {
        for repeated in self.waiting.extract_if(.., |waiting| waiting.pull.claim == request.pull.claim) {
            repeated.fail(WaitError::Duplicate);
        }
        self.waiting.push(request);
    }

    /// Drops requests whose worker has disconnected, and tells the others which tasks have become ready.
    fn update_schedules(&mut self, now: Instant, query_all: bool) {
        let ready = self.notifier.take_ready();
        self.waiting.retain(|request| !request.answer.is_closed());
        for request in &mut self.waiting {
            if ready.contains_any(&request.types) {
                request.schedule.task_became_ready(now);
            }
            if query_all {
                request.schedule.query_now(now);
            }
            if ready.has_declined(&request.types) {
                request.schedule.query_for_any_age(now);
            }
        }
    }

    /// Queries for the requests that are due. Requests for the same types and the same age share a query.
    async fn serve(&mut self, now: Instant) {
        let known_types = self.catalogue.known_types();
        let mut groups: BTreeMap<(Arc<BTreeSet<TypeName>>, Duration), Vec<WaitingRequest>> = BTreeMap::new();
        for mut request in self.waiting.extract_if(.., |request| request.schedule.is_due(now)) {
            let age = request.schedule.age();
            request.schedule.queried(now);
            groups.entry((request.types.clone(), age)).or_default().push(request);
        }
        let mut outage: Option<Arc<DatabaseError>> = None;
        for ((types, age), requests) in groups {
            if let Some(error) = &outage {
                fail_all(requests, error);
                continue;
            }
            // Unregistered types have no tasks: skip the query, which also keeps the store's cache per type small. The
            // request goes on waiting, since the type may be registered meanwhile.
            let types: Vec<TypeName> =
                types.iter().filter(|name| known_types.contains(*name)).cloned().collect();
            if types.is_empty() {
                self.waiting.extend(requests);
                continue;
            }
            let (unserved, result) = self.serve_group(requests, &types, age).await;
            match result.map_err(Arc::new) {
                Ok(()) => self.waiting.extend(unserved),
                Err(error) => {
                    fail_all(unserved, &error);
                    outage = Some(error).filter(|error| error.is_unavailable());
                }
            }
        }
    }

    /// Serves requests for the same types and age, the oldest first, until no task is left. Returns those that got nothing,
    /// and the error that ended it early.
    async fn serve_group(
        &mut self,
        mut requests: Vec<WaitingRequest>,
        types: &[TypeName],
        age: Duration,
    ) -> (Vec<WaitingRequest>, Result<(), DatabaseError>) {
        let mut unserved = Vec::new();
        let mut may_have_more = true;
        while may_have_more && !requests.is_empty() {
            let mut slots = 0;
            let fitting = requests.iter().take_while(|request| {
                slots += request.pull.slots;
                slots <= MAX_TASKS_PER_STATEMENT
            });
            let batch: Vec<WaitingRequest> = requests.drain(..fitting.count().max(1)).collect();
            let slots: usize = batch.iter().map(|request| request.pull.slots as usize).sum();
            match self.query(batch, types, age, &mut unserved).await {
                Ok(granted) => may_have_more = granted == slots,
                Err(error) => {
                    unserved.extend(requests);
                    return (unserved, Err(error));
                }
            }
        }
        unserved.extend(requests);
        (unserved, Ok(()))
    }

    /// One query for all of `requests`; those that got nothing are added to `unserved`. Returns the number of tasks granted.
    async fn query(
        &mut self,
        requests: Vec<WaitingRequest>,
        types: &[TypeName],
        age: Duration,
        unserved: &mut Vec<WaitingRequest>,
    ) -> Result<usize, DatabaseError> {
        let pulls: Vec<PullRequest> = requests.iter().map(|request| request.pull.clone()).collect();
        let sent = Instant::now();
        let PullResult { granted, refused } = match self.store.claim_by_type(&pulls, types, age).await {
            Ok(result) => result,
            Err(error) => {
                unserved.extend(requests);
                // A query that lost to another transaction is repeated soon enough.
                return if error.is_transaction_rollback() { Ok(0) } else { Err(error) };
            }
        };
        let count = granted.len();
        metrics::statement("pull", count, sent.into_std());
        let granted = record_granted(&self.notifier, GrantedBy::Type, sent, granted);
        let Delivery { unserved: still_waiting, duplicates, undelivered } =
            deliver(requests, granted, &refused);
        unserved.extend(still_waiting);
        release_undelivered(&self.settler, undelivered).await;
        if !duplicates.is_empty() {
            // The tasks that the duplicates were meant to take are ready for the others.
            self.notifier.notify_ready_locally(types);
        }
        answer_duplicates(&self.store, duplicates).await;
        Ok(count)
    }
}

fn fail_all(requests: Vec<WaitingRequest>, error: &Arc<DatabaseError>) {
    for request in requests {
        request.fail(WaitError::Query(error.clone()));
    }
}

impl From<WaitError> for ApiError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::Duplicate => Self::DuplicateClaim,
            WaitError::Query(error) => match error.unavailable_cause() {
                Some(why) => Self::Unavailable(why),
                None => Self::Internal(Box::new(error)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use database::ProcessClock;
    use domain::{ClaimId, InstanceId, SubjectId, WorkerProcess};
    use testkit::TestDatabase;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn a_request_beyond_the_most_that_may_wait_is_refused() {
        let scratch = TestDatabase::sqlite();
        let store = Store::new(scratch.open(), ProcessClock::System);
        let notifier = Arc::new(Notifier::default());
        let (settler, _writers) = Settler::new(store.clone(), Catalogue::default(), notifier.clone(), 1024);
        let (mut long_poll, mut queue) =
            LongPoll::new(store, Catalogue::default(), notifier, settler, MAX_WAIT);
        long_poll.permits = Arc::new(Semaphore::new(1));
        let until = Instant::now() + MAX_WAIT;
        let wait = || {
            let pull = PullRequest {
                claim: ClaimId::random(),
                worker: WorkerProcess {
                    name: "w".parse().unwrap(),
                    subject: SubjectId(Uuid::nil()),
                    instance: InstanceId::NONE,
                },
                slots: 1,
                is_first_look: true,
            };
            long_poll.wait(pull, Vec::new(), Duration::ZERO, until)
        };
        let mut first = Box::pin(wait());
        assert!(futures_util::poll!(&mut first).is_pending());
        let request = queue.requests.recv().await.unwrap();
        assert!(matches!(wait().await, Err(ApiError::Overloaded)), "the queue is free, the permits are not");
        request.answer_with(Vec::new());
        assert!(first.await.is_ok());
        let mut next = Box::pin(wait());
        assert!(futures_util::poll!(&mut next).is_pending(), "its permit is free again");
    }
}
