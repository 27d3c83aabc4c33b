//! Which offset of a partition may be stored: the last one up to which every message has been decided.

use std::collections::{BTreeSet, HashMap};

/// The partitions of one topic, as far as messages of them have been taken.
#[derive(Debug, Default)]
pub(crate) struct Offsets(HashMap<i32, Taken>);

#[derive(Debug)]
struct Taken {
    undecided: BTreeSet<i64>,
    last: i64,
    stored: i64,
    /// The highest that was ever taken.
    highest: i64,
}

impl Offsets {
    /// A message has been taken; it waits for its decision. True if one of that place was taken before.
    pub(crate) fn take(&mut self, partition: i32, offset: i64) -> bool {
        let begin =
            |highest| Taken { undecided: BTreeSet::new(), last: offset - 1, stored: offset - 1, highest };
        let taken = self.0.entry(partition).or_insert_with(|| begin(offset - 1));
        if offset <= taken.last {
            // It is read again from an earlier place: after a rebalance, a replay, or because the topic was made anew.
            *taken = begin(taken.highest);
        }
        taken.last = offset;
        taken.undecided.insert(offset);
        let again = offset <= taken.highest;
        taken.highest = taken.highest.max(offset);
        again
    }

    /// These partitions are ours. What waits in others is another member's to decide.
    pub(crate) fn keep(&mut self, ours: &BTreeSet<i32>) {
        for (partition, taken) in &mut self.0 {
            if !ours.contains(partition) {
                taken.undecided.clear();
                taken.stored = taken.last;
            }
        }
    }

    /// A message has been decided. The offset that may be stored now, if it is a later one than before.
    pub(crate) fn decide(&mut self, partition: i32, offset: i64) -> Option<i64> {
        let taken = self.0.get_mut(&partition)?;
        taken.undecided.remove(&offset);
        let done = taken.undecided.first().map_or(taken.last, |first| first - 1);
        (done > taken.stored).then(|| {
            taken.stored = done;
            done
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_undecided_lies_below_what_is_stored() {
        let mut offsets = Offsets::default();
        for offset in [10, 11, 12] {
            assert!(!offsets.take(0, offset));
        }
        offsets.take(1, 5);
        assert_eq!(offsets.decide(0, 12), None, "two before it wait");
        assert_eq!(offsets.decide(0, 10), Some(10));
        assert_eq!(offsets.decide(0, 11), Some(12));
        assert_eq!(offsets.decide(0, 11), None, "it is stored already");
        assert_eq!(offsets.decide(1, 5), Some(5));
        assert_eq!(offsets.decide(2, 5), None, "nothing was taken there");
    }

    #[test]
    fn what_another_member_decided_meanwhile_holds_nothing_up() {
        let mut offsets = Offsets::default();
        offsets.take(0, 7);
        offsets.keep(&BTreeSet::from([1]));
        assert_eq!(offsets.decide(0, 7), None, "it is another's");
        offsets.keep(&BTreeSet::from([0, 1]));
        assert!(!offsets.take(0, 20));
        assert_eq!(offsets.decide(0, 20), Some(20));
        assert_eq!(offsets.decide(0, 7), None, "of the time before");
    }

    #[test]
    fn a_topic_that_is_read_again_from_its_start_is_stored_again() {
        let mut offsets = Offsets::default();
        offsets.take(0, 7);
        offsets.take(0, 8);
        assert_eq!(offsets.decide(0, 7), Some(7));
        assert!(offsets.take(0, 0) && offsets.take(0, 8), "both are counted as seen again");
        offsets.take(0, 0);
        assert_eq!(offsets.decide(0, 8), None, "of the time before");
        assert_eq!(offsets.decide(0, 0), Some(0));
    }
}
