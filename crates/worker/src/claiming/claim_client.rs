//! One ask for work, repeated under the same claim until it is answered, so that a lost answer loses no task.

use std::future::pending;
use std::time::Duration;

use client::{Backoff, Client, ClientError};
use domain::{ClaimId, ClaimRequest, ClaimResponse, ClaimTarget, DeclinedTask, TaskId, TypeName, WorkerName};
use tokio_util::sync::CancellationToken;

use crate::deadline::SuspendAwareInstant;
use crate::outage_log::{Activity, BackendOutageLog};

/// How long the Backend may hold an ask for which it has no work.
const WAIT: Duration = Duration::from_secs(20);

/// The most slots that one ask may name, as the Backend has it.
pub(crate) const MOST: usize = 1000;

/// How long a stopping worker listens for the answer to an ask that it has already sent.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(500);

/// Asks the Backend for work.
#[derive(Clone)]
pub(crate) struct ClaimClient {
    pub(crate) client: Client,
    pub(crate) worker: WorkerName,
    pub(crate) types: Vec<TypeName>,
    pub(crate) link: BackendOutageLog,
    pub(crate) stop: CancellationToken,
}

impl ClaimClient {
    /// What is granted of whatever waits for `min_age` or longer, and the moment from which its time is counted; `None`
    /// once the worker stops. The Backend holds the ask until there is work, but no longer than until `preempt` rings.
    pub(crate) async fn pull(
        &self,
        slots: usize,
        min_age: Duration,
        preempt: impl Future<Output = ()>,
    ) -> Option<(SuspendAwareInstant, ClaimResponse)> {
        let slots = u32::try_from(slots.min(MOST)).expect("a thousand");
        let pull = ClaimTarget::Pull { types: self.types.clone(), slots, min_age_ms: millis(min_age) };
        self.answered(Activity::Asks, self.fresh(pull, millis(WAIT), Vec::new()), preempt).await
    }

    /// What is granted of certain tasks, and the moment from which its time is counted; `None` once the worker stops.
    pub(crate) async fn claim(
        &self,
        ids: Vec<TaskId>,
        declined: Vec<DeclinedTask>,
    ) -> Option<(SuspendAwareInstant, ClaimResponse)> {
        self.answered(Activity::Claims, self.fresh(ClaimTarget::Ids(ids), 0, declined), pending()).await
    }

    /// One claim until the answer comes, however long that takes: whatever was granted under it is in that answer. When
    /// `preempt` rings, the same is asked again without waiting: what has been granted by then is the answer.
    async fn answered(
        &self,
        part: Activity,
        mut ask: ClaimRequest,
        preempt: impl Future<Output = ()>,
    ) -> Option<(SuspendAwareInstant, ClaimResponse)> {
        let mut preempt = std::pin::pin!(preempt);
        let mut backoff = Backoff::default();
        loop {
            // The token may be fetched after this moment: that makes the deadline earlier, never later.
            let sent = SuspendAwareInstant::now();
            let answer = tokio::select! {
                answer = self.answer(&ask) => answer?,
                () = &mut preempt, if ask.wait_ms > 0 => {
                    ask.wait_ms = 0;
                    continue;
                }
            };
            match answer {
                Ok(grants) => {
                    self.link.went_through(part);
                    return Some((sent, grants));
                }
                Err(error) => {
                    self.link.failed(part, &error);
                    self.pause(backoff.after(&error)).await?;
                }
            }
        }
    }

    pub(crate) async fn pause(&self, pause: Duration) -> Option<()> {
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await
    }

    fn fresh(&self, wanted: ClaimTarget, wait_ms: u64, declined: Vec<DeclinedTask>) -> ClaimRequest {
        ClaimRequest { claim: ClaimId::random(), worker: self.worker.clone(), wanted, wait_ms, declined }
    }

    /// The answer to `ask`; of a worker that stops, only if it comes within a moment.
    async fn answer(&self, ask: &ClaimRequest) -> Option<Result<ClaimResponse, ClientError>> {
        if self.stop.is_cancelled() {
            return None;
        }
        let mut answer = std::pin::pin!(self.client.claim(ask));
        if let Some(answer) = self.stop.run_until_cancelled(&mut answer).await {
            return Some(answer);
        }
        tokio::time::timeout(SHUTDOWN_GRACE, answer).await.ok()
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
