//! Granted tasks, each with its deadline on this machine's clocks.

use domain::{ClaimResponse, Grant};

use crate::deadline::{Deadline, SuspendAwareInstant};

/// The grants of one claim request, and the instant at which that request was sent: remaining times are counted from it.
pub(crate) struct TimedGrants {
    pub(crate) sent: SuspendAwareInstant,
    pub(crate) response: ClaimResponse,
}

impl TimedGrants {
    /// How many tasks were granted.
    pub(crate) fn count(&self) -> usize {
        self.response.tasks.len()
    }

    /// Each grant with its deadline.
    pub(crate) fn into_grants(self) -> impl Iterator<Item = (Grant, Deadline)> {
        let Self { sent, response: ClaimResponse { held_ms, tasks, .. } } = self;
        tasks.into_iter().map(move |grant| {
            let deadline = Deadline::of(sent, held_ms, grant.remaining_ms);
            (grant, deadline)
        })
    }
}
