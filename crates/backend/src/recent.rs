//! The claims of the last moments: an ask that repeats one of them is answered by what it was granted.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use domain::ClaimId;
use tokio::time::Instant;

/// Longer than any ask is on its way from the look for what it holds to its place in the queue.
const KEPT: Duration = Duration::from_mins(1);

/// The most claims that are remembered.
const MOST: usize = 200_000;

/// Which claims something was granted under, not long ago.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    order: VecDeque<(Instant, ClaimId)>,
    times: HashMap<ClaimId, u32>,
}

impl Recent {
    pub(crate) fn has(&self, claim: ClaimId) -> bool {
        self.times.contains_key(&claim)
    }

    /// Remembers these, and forgets what is too old.
    pub(crate) fn add(&mut self, claims: impl Iterator<Item = ClaimId>) {
        self.add_at(Instant::now(), claims);
    }

    fn add_at(&mut self, now: Instant, claims: impl Iterator<Item = ClaimId>) {
        for claim in claims {
            self.order.push_back((now, claim));
            *self.times.entry(claim).or_default() += 1;
        }
        while self.order.len() > MOST || self.order.front().is_some_and(|(at, _)| now - *at > KEPT) {
            let Some((_, claim)) = self.order.pop_front() else { return };
            if let Some(times) = self.times.get_mut(&claim) {
                *times -= 1;
                if *times == 0 {
                    self.times.remove(&claim);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_remembered_from_its_last_grant_and_then_forgotten() {
        let start = Instant::now();
        let [first, second] = [ClaimId::random(), ClaimId::random()];
        let mut recent = Recent::default();
        recent.add_at(start, [first, second].into_iter());
        recent.add_at(start + KEPT / 2, [first].into_iter());
        assert!(recent.has(first) && recent.has(second));
        recent.add_at(start + KEPT * 5 / 4, std::iter::empty());
        assert!(recent.has(first) && !recent.has(second));
        recent.add_at(start + KEPT * 2, std::iter::empty());
        assert!(recent.order.is_empty() && recent.times.is_empty());
    }
}
