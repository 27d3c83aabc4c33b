//! The order in which the free slots of waiting workers receive tasks.

use domain::{ClaimId, WorkerProcess};

/// A worker's request for any task of some types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The claim's id; a repeated request has the same one.
    pub claim: ClaimId,
    /// The worker that requests.
    pub worker: WorkerProcess,
    /// How many tasks it can take.
    pub slots: u32,
    /// Whether this Backend looks for tasks for this request for the first time. The same request may have been sent to
    /// another Backend before, so its claim is checked even if there is no task for it.
    pub is_first_look: bool,
}

/// One entry for each free slot: the first slot of every request, then the second of every request that has one, and so on.
/// Each entry has the number of its request: requests with slots are numbered from 1, which is also the position of the
/// request's first slot in the list.
pub(crate) fn slot_assignments(requests: &[PullRequest]) -> Vec<(i32, &PullRequest)> {
    let most = requests.iter().map(|request| request.slots).max().unwrap_or(0);
    let numbered = (1..).zip(requests.iter().filter(|request| request.slots > 0));
    (0..most).flat_map(|round| numbered.clone().filter(move |(_, request)| request.slots > round)).collect()
}

/// The first slot of each request.
pub(crate) fn first_slots<T>(slots: &[(i32, T)]) -> impl Iterator<Item = &(i32, T)> {
    let requests = slots.iter().map(|(number, _)| *number).max().unwrap_or(0);
    slots.iter().take(usize::try_from(requests).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use domain::{InstanceId, SubjectId};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn requests_take_turns() {
        let request = |n, slots| PullRequest {
            claim: ClaimId(Uuid::from_u128(n)),
            worker: WorkerProcess {
                name: "w".parse().unwrap(),
                subject: SubjectId(Uuid::nil()),
                instance: InstanceId::NONE,
            },
            slots,
            is_first_look: false,
        };
        let requests = [request(1, 3), request(3, 0), request(2, 1)];
        let slots = slot_assignments(&requests);
        let order: Vec<(i32, u128)> =
            slots.iter().map(|(number, request)| (*number, request.claim.0.as_u128())).collect();
        assert_eq!(order, [(1, 1), (2, 2), (1, 1), (1, 1)]);
        let firsts: Vec<i32> = first_slots(&slots).map(|(number, _)| *number).collect();
        assert_eq!(firsts, [1, 2]);
    }
}
