//! When a held ask looks for work: at once at a ring, or as soon as what was rung is as old as the ask wants it.

use std::time::Duration;

use tokio::time::Instant;

/// No ask looks more often than this for what is growing old.
const SHORTEST: Duration = Duration::from_millis(10);

/// The next look of an ask for tasks that have been ready for at least `age`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LookSchedule {
    age: Duration,
    next: Option<Instant>,
    /// When all that has been rung will be old enough.
    last: Instant,
}

impl LookSchedule {
    /// A new ask looks at once. What was rung just before it came is not old enough yet, perhaps.
    pub(crate) fn new(age: Duration, now: Instant) -> Self {
        Self { age, next: Some(now), last: now + age }
    }

    pub(crate) fn age(&self) -> Duration {
        self.age
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// A task has become ready.
    pub(crate) fn rung(&mut self, now: Instant) {
        self.last = now + self.age;
        self.next.get_or_insert(self.last);
    }

    /// Something may have become ready at any time: the next look is now.
    pub(crate) fn hurry(&mut self, now: Instant) {
        self.next = Some(now);
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_some_and(|next| next <= now)
    }

    /// It looks now. Of the rings since one age ago only the last is known: until that is old enough, what came before it
    /// is looked for in quarters of the age.
    pub(crate) fn looks(&mut self, now: Instant) {
        self.next = (self.last > now).then(|| self.last.min(now + (self.age / 4).max(SHORTEST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    #[test]
    fn without_an_age_a_ring_is_a_look() {
        let start = Instant::now();
        let mut look = LookSchedule::new(Duration::ZERO, start);
        assert!(look.is_due(start), "a new ask looks at once");
        look.looks(start);
        assert_eq!(look.next(), None);
        look.rung(start + MILLI);
        assert!(look.is_due(start + MILLI));
        look.looks(start + MILLI);
        assert_eq!(look.next(), None);
    }

    #[test]
    fn with_an_age_it_looks_when_what_was_rung_is_old_enough_and_until_all_of_it_is() {
        let start = Instant::now();
        let at = |millis| Some(start + millis * MILLI);
        let mut look = LookSchedule::new(400 * MILLI, start);
        let mut looks = Vec::new();
        while let Some(next) = look.next() {
            looks.push(Some(next));
            look.looks(next);
        }
        assert_eq!(looks, [0, 100, 200, 300, 400].map(at), "what was rung before it came");
        look.rung(start + 1000 * MILLI);
        look.rung(start + 1030 * MILLI);
        assert_eq!(look.next(), at(1400), "the first ring's");
        look.looks(start + 1400 * MILLI);
        assert_eq!(look.next(), at(1430), "the last ring's");
        look.looks(start + 1430 * MILLI);
        assert_eq!(look.next(), None);
    }
}
