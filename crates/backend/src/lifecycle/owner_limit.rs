//! The limit of the unfinished tasks of an owner, so that no owner fills the queues of all others.

use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::OwnerId;
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use store::Store;

use crate::error::ApiError;
use crate::metrics;

/// How old a count may be. Between two counts this Backend counts what it accepts itself; what other Backends accept and what
/// ends is found by the next count.
const MAX_COUNT_AGE: Duration = Duration::from_secs(1);

/// How old a count may be by which a submission is refused.
const MAX_AGE_TO_REFUSE: Duration = Duration::from_millis(100);

/// How many owners' counts are cached; beyond it those that are not used give way.
const CACHE_CAPACITY: usize = 10_000;

/// Refuses submissions of owners that have too many unfinished tasks.
///
/// Counts are of the owner's rows in an index, once a second for an owner that submits. Concurrent submissions do not wait for
/// a count, so an owner may exceed the limit by what is accepted during one, and by what other Backends accept in a second.
pub(crate) struct OwnerLimit {
    store: Store,
    /// `None`: there is no limit.
    limit: Option<NonZeroU32>,
    counts: Cache<OwnerId, Arc<Mutex<OwnerCount>>>,
}

/// The unfinished tasks of one owner.
#[derive(Default)]
struct OwnerCount {
    /// The last count, and what was accepted since it began.
    tasks: u64,
    accepted_since: u64,
    counted_at: Option<Instant>,
}

impl OwnerLimit {
    /// The limit of each owner in `store`.
    pub(crate) fn new(store: Store, limit: Option<NonZeroU32>) -> Self {
        Self { store, limit, counts: Cache::new(CACHE_CAPACITY) }
    }

    /// Counts `new` more tasks of `owner`. Fails if the owner would have more unfinished tasks than the limit allows.
    pub(crate) async fn take(&self, owner: OwnerId, new: usize) -> Result<(), ApiError> {
        let Some(limit) = self.limit else { return Ok(()) };
        let empty = || Ok::<_, Infallible>(Arc::default());
        let Ok(count) = self.counts.get_or_insert_with(&owner, empty);
        let new = new as u64;
        if count.lock().begin_count(new, limit) {
            let tasks = self.store.unfinished_tasks_of(owner, limit.get()).await?;
            count.lock().end_count(tasks);
        }
        count.lock().take(new, limit).inspect_err(|_| metrics::over_limit())
    }
}

impl OwnerCount {
    /// Whether the caller must count: the last count is too old. Others go on with the last count meanwhile.
    fn begin_count(&mut self, new: u64, limit: NonZeroU32) -> bool {
        let max_age = if self.has_room(new, limit) { MAX_COUNT_AGE } else { MAX_AGE_TO_REFUSE };
        if self.counted_at.is_some_and(|at| at.elapsed() < max_age) {
            return false;
        }
        self.counted_at = Some(Instant::now());
        self.accepted_since = 0;
        true
    }

    fn end_count(&mut self, tasks: u64) {
        self.tasks = tasks + self.accepted_since;
    }

    fn take(&mut self, new: u64, limit: NonZeroU32) -> Result<(), ApiError> {
        if !self.has_room(new, limit) {
            return Err(ApiError::TooManyUnfinished { limit });
        }
        self.tasks += new;
        self.accepted_since += new;
        Ok(())
    }

    fn has_room(&self, new: u64, limit: NonZeroU32) -> bool {
        self.tasks + new <= limit.get().into()
    }
}
