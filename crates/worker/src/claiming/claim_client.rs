//! Sends claim requests, each repeated under the same claim id until it is answered, so that a lost answer loses no task.

use std::future::pending;
use std::time::Duration;

use client::{Backoff, Client, ClientError};
use domain::limits::{MAX_MIN_AGE_MS, MAX_TASKS_PER_CLAIM};
use domain::{
    ClaimId, ClaimRequest, ClaimResponse, ClaimTarget, DeclinedTask, InstanceId, Pull, TaskId, WorkerName,
};
use tokio_util::sync::CancellationToken;

use crate::backend_outage_log::{BackendOutageLog, BackendRequestKind};
use crate::deadline::SuspendAwareInstant;
use crate::execution::timed_grants::TimedGrants;
use crate::registry::active_operations::ActiveOperations;

/// How long the Backend may hold a pull for which it has no task.
const LONG_POLL_WAIT: Duration = Duration::from_secs(20);

/// How long a stopping worker waits for the answer to a request that it has already sent.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Claims tasks from the Backend for one worker. Every method returns `None` once the worker stops.
#[derive(Clone)]
pub(crate) struct ClaimClient {
    pub(crate) client: Client,
    pub(crate) worker: WorkerName,
    pub(crate) instance: InstanceId,
    /// What the worker runs.
    pub(crate) operations: ActiveOperations,
    pub(crate) outage_log: BackendOutageLog,
    /// Cancelled when the worker stops.
    pub(crate) stop: CancellationToken,
}

impl ClaimClient {
    /// Claims up to `slots` tasks of the worker's types that have been ready for `min_age` or longer. The Backend holds the
    /// request until there is one, for [`LONG_POLL_WAIT`] at most, and not after `preempt` completes.
    pub(crate) async fn pull(
        &self,
        slots: usize,
        min_age: Duration,
        preempt: impl Future<Output = ()>,
    ) -> Option<TimedGrants> {
        self.claim_by_type(slots, millis(min_age), millis(LONG_POLL_WAIT), preempt).await
    }

    async fn claim_by_type(
        &self,
        slots: usize,
        min_age_ms: u64,
        wait_ms: u64,
        preempt: impl Future<Output = ()>,
    ) -> Option<TimedGrants> {
        let slots = u32::try_from(slots.min(MAX_TASKS_PER_CLAIM)).expect("the limit fits 32 bits");
        let target = ClaimTarget::Pull(Pull { types: self.operations.types(), slots, min_age_ms });
        let request = self.new_request(target, wait_ms, Vec::new());
        self.claim_until_answered(BackendRequestKind::Pull, request, preempt).await
    }

    /// Claims up to `slots` tasks whose priority is above the default, or that have been ready for a minute. Answered at once.
    pub(crate) async fn pull_urgent(&self, slots: usize) -> Option<TimedGrants> {
        self.claim_by_type(slots, MAX_MIN_AGE_MS, 0, pending()).await
    }

    /// Claims the tasks `ids`, and declines others whose type the worker does not run. Answered at once.
    pub(crate) async fn claim(&self, ids: Vec<TaskId>, declined: Vec<DeclinedTask>) -> Option<TimedGrants> {
        let request = self.new_request(ClaimTarget::Ids(ids), 0, declined);
        self.claim_until_answered(BackendRequestKind::TicketClaim, request, pending()).await
    }

    /// Repeats one request under its claim id until an answer comes, however long that takes: the answer holds whatever was
    /// granted under that id. When `preempt` completes, the request is sent again with no time to wait, so that it is
    /// answered at once.
    async fn claim_until_answered(
        &self,
        request_kind: BackendRequestKind,
        mut request: ClaimRequest,
        preempt: impl Future<Output = ()>,
    ) -> Option<TimedGrants> {
        let mut preempt = std::pin::pin!(preempt);
        let mut backoff = Backoff::default();
        loop {
            // The client may fetch a token after this instant: that makes deadlines earlier, never later.
            let sent = SuspendAwareInstant::now();
            let answer = tokio::select! {
                answer = self.send(&request) => answer?,
                () = &mut preempt, if request.wait_ms > 0 => {
                    request.wait_ms = 0;
                    continue;
                }
            };
            match answer {
                Ok(response) => {
                    self.outage_log.record_success(request_kind);
                    return Some(TimedGrants { sent, response });
                }
                Err(error) => {
                    self.outage_log.record_failure(request_kind, &error);
                    self.pause(backoff.pause_after(&error)).await?;
                }
            }
        }
    }

    /// Waits for `pause`.
    pub(crate) async fn pause(&self, pause: Duration) -> Option<()> {
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await
    }

    fn new_request(&self, wanted: ClaimTarget, wait_ms: u64, declined: Vec<DeclinedTask>) -> ClaimRequest {
        let (worker, instance) = (self.worker.clone(), self.instance);
        ClaimRequest { claim: ClaimId::random(), worker, instance, wanted, wait_ms, declined }
    }

    /// Sends a request once. If the worker stops meanwhile, the answer must come within [`SHUTDOWN_GRACE`].
    async fn send(&self, request: &ClaimRequest) -> Option<Result<ClaimResponse, ClientError>> {
        if self.stop.is_cancelled() {
            return None;
        }
        let mut answer = std::pin::pin!(self.client.claim(request));
        if let Some(answer) = self.stop.run_until_cancelled(&mut answer).await {
            return Some(answer);
        }
        tokio::time::timeout(SHUTDOWN_GRACE, answer).await.ok()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
