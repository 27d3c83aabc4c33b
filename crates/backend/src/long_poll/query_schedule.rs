//! When a waiting request queries the database again.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time between two queries of a request that waits for tasks of a certain age.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

/// When a waiting request queries next. Without an `age`: as soon as it is notified. With one: again when the tasks of which
/// it was notified have been ready for that long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct QuerySchedule {
    age: Duration,
    /// Whether the next query is for tasks of any age.
    any_age: bool,
    next: Option<Instant>,
    /// When every task that was notified so far will be `age` old.
    all_old_enough: Instant,
}

impl QuerySchedule {
    /// A new request queries at once. Tasks that became ready just before it arrived may not be old enough then, so it
    /// goes on until one `age` has passed.
    pub(crate) fn new(age: Duration, now: Instant) -> Self {
        Self { age, any_age: false, next: Some(now), all_old_enough: now + age }
    }

    /// How long the tasks of the next query must have been ready.
    pub(crate) fn age(&self) -> Duration {
        if self.any_age { Duration::ZERO } else { self.age }
    }

    /// When to query; `None`: not before a notification.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Schedules a query, because a task has become ready.
    pub(crate) fn task_became_ready(&mut self, now: Instant) {
        self.all_old_enough = now + self.age;
        self.next.get_or_insert(self.all_old_enough);
    }

    /// A task may have become ready at any earlier time: query now.
    pub(crate) fn query_now(&mut self, now: Instant) {
        self.next = Some(now);
    }

    /// The ticket of a task was declined, so nobody is about to claim the task: query now, and once for tasks of any age.
    pub(crate) fn query_for_any_age(&mut self, now: Instant) {
        (self.any_age, self.next) = (true, Some(now));
    }

    /// Whether the time of the next query has come.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// Records that the request queries now. Only the time of the last notification is known, so until that is `age` old,
    /// query again every `age / 4` for tasks that became ready earlier.
    pub(crate) fn queried(&mut self, now: Instant) {
        self.any_age = false;
        let soon = now + (self.age / 4).max(MIN_INTERVAL);
        self.next = (self.all_old_enough > now).then(|| self.all_old_enough.min(soon));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn without_an_age_each_notification_is_a_query() {
        let start = Instant::now();
        let mut schedule = QuerySchedule::new(Duration::ZERO, start);
        assert!(schedule.is_due(start), "a new request queries at once");
        schedule.queried(start);
        assert_eq!(schedule.next(), None);
        schedule.task_became_ready(start + MILLI);
        assert!(schedule.is_due(start + MILLI));
        schedule.queried(start + MILLI);
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn with_an_age_it_queries_until_every_notified_task_is_old_enough() {
        let start = Instant::now();
        let at = |millis| Some(start + millis * MILLI);
        let mut schedule = QuerySchedule::new(400 * MILLI, start);
        let mut queries = Vec::new();
        while let Some(next) = schedule.next() {
            queries.push(Some(next));
            schedule.queried(next);
        }
        assert_eq!(queries, [0, 100, 200, 300, 400].map(at), "for tasks from before the request");
        schedule.task_became_ready(start + 1000 * MILLI);
        schedule.task_became_ready(start + 1030 * MILLI);
        assert_eq!(schedule.next(), at(1400), "for the first notification");
        schedule.queried(start + 1400 * MILLI);
        assert_eq!(schedule.next(), at(1430), "for the last notification");
        schedule.queried(start + 1430 * MILLI);
        assert_eq!(schedule.next(), None);
    }
}
