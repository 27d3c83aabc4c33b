//! The priorities of ready tasks, by type: a claim by type scans those that are in use, the highest first.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use domain::{Priority, TypeName};
use parking_lot::Mutex;

/// A priority that other Backends use is noticed this long after its first use.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(1);

/// The tasks of one type and one priority: the unit of a scan of ready tasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ScanKey {
    pub(crate) type_name: TypeName,
    pub(crate) priority: Priority,
}

/// The priorities other than the default that a task of a type has had since the start of this process. They are few, and a scan of
/// one that nobody uses any more reads no row, so none is removed.
#[derive(Debug, Default)]
pub(crate) struct PrioritiesInUse(Mutex<HashMap<TypeName, TypePriorities>>);

#[derive(Debug, Default)]
struct TypePriorities {
    /// Without the default, the highest first.
    priorities: Vec<Priority>,
    discovered_at: Option<Instant>,
}

impl PrioritiesInUse {
    /// A task of `type_name` has `priority`.
    pub(crate) fn add(&self, type_name: &TypeName, priority: Priority) {
        if priority == Priority::DEFAULT {
            return;
        }
        let mut types = self.0.lock();
        let priorities = &mut types.entry(type_name.clone()).or_default().priorities;
        if !priorities.contains(&priority) {
            priorities.push(priority);
            priorities.sort_unstable_by(|one, other| other.cmp(one));
        }
    }

    /// The keys of the scans for ready tasks of `types`, those of a type in descending order of priority.
    pub(crate) fn scan_keys(&self, types: &[TypeName]) -> Vec<ScanKey> {
        let in_use = self.0.lock();
        let mut keys = Vec::with_capacity(types.len());
        for type_name in types {
            let mut priorities =
                in_use.get(type_name).map_or_else(Vec::new, |of_type| of_type.priorities.clone());
            let position = priorities.partition_point(|priority| *priority > Priority::DEFAULT);
            priorities.insert(position, Priority::DEFAULT);
            let of_type = priorities.into_iter();
            keys.extend(of_type.map(|priority| ScanKey { type_name: type_name.clone(), priority }));
        }
        keys
    }

    /// Those of `types` whose priorities are to be looked for in the database now, which then count as looked for.
    pub(crate) fn start_discovery<'a>(&self, types: &'a [TypeName]) -> Vec<&'a TypeName> {
        let (now, mut in_use) = (Instant::now(), self.0.lock());
        let mut is_due = |type_name: &&TypeName| {
            let of_type = in_use.entry((*type_name).clone()).or_default();
            let is_recent = |at| now.saturating_duration_since(at) < DISCOVERY_INTERVAL;
            let is_due = !of_type.discovered_at.is_some_and(is_recent);
            if is_due {
                of_type.discovered_at = Some(now);
            }
            is_due
        };
        types.iter().filter(|type_name| is_due(type_name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_scanned_from_its_highest_priority_down() {
        let in_use = PrioritiesInUse::default();
        let types: Vec<TypeName> = vec!["A".parse().unwrap(), "B".parse().unwrap()];
        for priority in [2, 9, 4, 9, 5] {
            in_use.add(&types[0], Priority::try_from(priority).unwrap());
        }
        let keys = in_use.scan_keys(&types);
        let keys: Vec<_> = keys.iter().map(|key| (key.type_name.as_str(), key.priority.get())).collect();
        assert_eq!(keys, [("A", 9), ("A", 5), ("A", 4), ("A", 2), ("B", 4)]);
        assert_eq!(in_use.start_discovery(&types).len(), 2);
        assert!(in_use.start_discovery(&types).is_empty(), "they were looked for a moment ago");
    }
}
