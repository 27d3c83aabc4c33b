//! Tracks which offset of a partition may be stored: the last one up to which every message has been decided.

use std::collections::{BTreeSet, HashMap};

/// The received and undecided offsets of each partition of one topic. With it a reader may acknowledge in any order.
#[derive(Debug, Default)]
pub(crate) struct OffsetTracker(HashMap<i32, PartitionOffsets>);

#[derive(Debug)]
struct PartitionOffsets {
    undecided: BTreeSet<i64>,
    last_received: i64,
    last_stored: i64,
    /// The highest offset that was ever received, replays included.
    highest_received: i64,
}

impl PartitionOffsets {
    fn beginning_at(offset: i64, highest_received: i64) -> Self {
        let before = offset - 1;
        Self { undecided: BTreeSet::new(), last_received: before, last_stored: before, highest_received }
    }
}

impl OffsetTracker {
    /// Records a received message, which is undecided. `true`: the message is a redelivery.
    pub(crate) fn receive(&mut self, partition: i32, offset: i64) -> bool {
        let offsets =
            self.0.entry(partition).or_insert_with(|| PartitionOffsets::beginning_at(offset, offset - 1));
        if offset <= offsets.last_received {
            // The partition is read again from an earlier offset: after a rebalance, a replay, or because the topic was
            // deleted and created again.
            *offsets = PartitionOffsets::beginning_at(offset, offsets.highest_received);
        }
        offsets.last_received = offset;
        offsets.undecided.insert(offset);
        let is_redelivery = offset <= offsets.highest_received;
        offsets.highest_received = offsets.highest_received.max(offset);
        is_redelivery
    }

    /// Removes the undecided messages of all partitions that are not assigned: another member of the group receives them.
    pub(crate) fn retain_assigned(&mut self, assigned: &BTreeSet<i32>) {
        for (partition, offsets) in &mut self.0 {
            if !assigned.contains(partition) {
                offsets.undecided.clear();
                offsets.last_stored = offsets.last_received;
            }
        }
    }

    /// Records that a message is decided. Returns the offset that may be stored now, if it has advanced.
    pub(crate) fn decide(&mut self, partition: i32, offset: i64) -> Option<i64> {
        let offsets = self.0.get_mut(&partition)?;
        offsets.undecided.remove(&offset);
        let storable = offsets.undecided.first().map_or(offsets.last_received, |first| first - 1);
        (storable > offsets.last_stored).then(|| {
            offsets.last_stored = storable;
            storable
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_stored_once_every_message_up_to_it_is_decided() {
        let mut offsets = OffsetTracker::default();
        for offset in [10, 11, 12] {
            assert!(!offsets.receive(0, offset));
        }
        offsets.receive(1, 5);
        assert_eq!(offsets.decide(0, 12), None, "10 and 11 are undecided");
        assert_eq!(offsets.decide(0, 10), Some(10));
        assert_eq!(offsets.decide(0, 11), Some(12));
        assert_eq!(offsets.decide(0, 11), None, "12 is stored already");
        assert_eq!(offsets.decide(1, 5), Some(5));
        assert_eq!(offsets.decide(2, 5), None, "nothing was received from partition 2");
    }

    #[test]
    fn undecided_messages_of_a_revoked_partition_are_forgotten() {
        let mut offsets = OffsetTracker::default();
        offsets.receive(0, 7);
        offsets.retain_assigned(&BTreeSet::from([1]));
        assert_eq!(offsets.decide(0, 7), None, "the partition is another member's");
        offsets.retain_assigned(&BTreeSet::from([0, 1]));
        assert!(!offsets.receive(0, 20));
        assert_eq!(offsets.decide(0, 20), Some(20));
        assert_eq!(offsets.decide(0, 7), None, "7 was received under an earlier assignment");
    }

    #[test]
    fn a_replayed_partition_is_stored_again_from_its_beginning() {
        let mut offsets = OffsetTracker::default();
        offsets.receive(0, 7);
        offsets.receive(0, 8);
        assert_eq!(offsets.decide(0, 7), Some(7));
        assert!(offsets.receive(0, 0) && offsets.receive(0, 8), "both count as redeliveries");
        offsets.receive(0, 0);
        assert_eq!(offsets.decide(0, 8), None, "8 was received before the replay");
        assert_eq!(offsets.decide(0, 0), Some(0));
    }
}
