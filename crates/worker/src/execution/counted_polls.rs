//! Counts the polls of an operation, so that one can tell from outside whether one is under way, and whether it is still the same.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

/// The polls of one operation.
///
/// The two lowest bits are flags; the others are the number of polls that have begun.
#[derive(Debug, Default)]
pub(crate) struct PollCounter(AtomicU64);

/// Set while a poll is under way.
const UNDER_WAY: u64 = 1;
/// Set if the thread of the poll that is under way was replaced.
const REPLACED: u64 = 2;
/// What one poll adds.
const ONE: u64 = 4;

/// The poll that is under way, among all polls of its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PollNumber(u64);

/// A future whose polls are counted.
pub(crate) struct CountedPolls<F> {
    counter: Arc<PollCounter>,
    future: F,
    /// Called on a thread that was replaced, once its poll has ended.
    on_replaced: fn(),
}

/// A poll that is under way until this is dropped, also by a panic.
struct PollGuard<'a> {
    counter: &'a PollCounter,
    on_replaced: fn(),
}

impl PollCounter {
    /// The poll that is under way; `None` between polls.
    pub(crate) fn current(&self) -> Option<PollNumber> {
        let state = self.0.load(Ordering::Relaxed);
        (state & UNDER_WAY != 0).then_some(PollNumber(state / ONE))
    }

    /// Marks the thread of a poll as replaced. Whether it was not yet, and the poll is still under way.
    pub(crate) fn mark_replaced(&self, poll: PollNumber) -> bool {
        let under_way = poll.0 * ONE + UNDER_WAY;
        self.0.compare_exchange(under_way, under_way + REPLACED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl<F: Future + Unpin> CountedPolls<F> {
    /// The same future, whose polls `counter` counts.
    pub(crate) fn new(future: F, counter: Arc<PollCounter>, on_replaced: fn()) -> Self {
        Self { counter, future, on_replaced }
    }
}

impl<F: Future + Unpin> Future for CountedPolls<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Self { counter, future, on_replaced } = &mut *self;
        let _poll = PollGuard::begin(counter, *on_replaced);
        Pin::new(future).poll(context)
    }
}

impl<'a> PollGuard<'a> {
    fn begin(counter: &'a PollCounter, on_replaced: fn()) -> Self {
        counter.0.fetch_add(ONE + UNDER_WAY, Ordering::Relaxed);
        Self { counter, on_replaced }
    }
}

impl Drop for PollGuard<'_> {
    fn drop(&mut self) {
        let state = self.counter.0.fetch_and(!(UNDER_WAY | REPLACED), Ordering::Relaxed);
        if state & REPLACED != 0 {
            (self.on_replaced)();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::task::Waker;

    use super::*;

    thread_local! {
        static REPLACED_THREADS: Cell<u32> = const { Cell::new(0) };
    }

    /// Polls a future that never ends three times and calls `during` in each poll.
    fn poll_three_times(counter: &Arc<PollCounter>, mut during: impl FnMut()) {
        let future = poll_fn(|_| {
            during();
            Poll::<()>::Pending
        });
        let on_replaced = || REPLACED_THREADS.set(REPLACED_THREADS.get() + 1);
        let mut polled = CountedPolls::new(future, Arc::clone(counter), on_replaced);
        for _ in 0..3 {
            let poll = Pin::new(&mut polled).poll(&mut Context::from_waker(Waker::noop()));
            assert!(poll.is_pending());
            assert_eq!(counter.current(), None, "between polls");
        }
    }

    #[test]
    fn a_poll_has_a_number_of_its_own_while_it_is_under_way() {
        let counter = Arc::new(PollCounter::default());
        let mut numbers = Vec::new();
        poll_three_times(&counter, || numbers.push(counter.current().expect("a poll is under way").0));
        assert_eq!(numbers, [1, 2, 3]);
    }

    #[test]
    fn a_thread_is_replaced_once_for_each_poll_that_blocks_it_and_told_when_that_has_ended() {
        let counter = Arc::new(PollCounter::default());
        poll_three_times(&counter, || {
            let poll = counter.current().expect("a poll is under way");
            assert!(poll.0 == 1 || counter.mark_replaced(poll));
            assert!(!counter.mark_replaced(PollNumber(1)) || poll.0 == 1);
        });
        assert_eq!(REPLACED_THREADS.get(), 3);
    }
}
