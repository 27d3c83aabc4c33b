//! One ask for work, repeated under the same claim until it is answered, so that a lost answer loses no task.

use std::time::Duration;

use client::{Backoff, Client, ClientError};
use domain::{Ask, ClaimId, Grants, TypeName, Wanted, WorkerName};
use tokio_util::sync::CancellationToken;

use crate::deadline::Moment;
use crate::link::{Link, Part};

/// How long the Backend may hold an ask for which it has no work.
const WAIT: Duration = Duration::from_secs(20);

/// Between asks of a Backend that answers at once with nothing.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a stopping worker listens for the answer to an ask that it has already sent.
const LAST_WORD: Duration = Duration::from_millis(500);

/// Asks the Backend for work.
pub(crate) struct Asker {
    pub(crate) client: Client,
    pub(crate) worker: WorkerName,
    pub(crate) types: Vec<TypeName>,
    pub(crate) link: Link,
    pub(crate) stop: CancellationToken,
}

impl Asker {
    /// What is granted for `slots` free slots and the moment from which its time is counted; `None` once the worker stops.
    pub(crate) async fn ask(&self, slots: u32) -> Option<(Moment, Grants)> {
        // One claim until the answer comes, however long that takes: whatever was granted under it is in that answer.
        let ask = self.fresh(slots);
        let mut backoff = Backoff::default();
        loop {
            // The token may be fetched after this moment: that makes the deadline earlier, never later.
            let sent = Moment::now();
            match self.answer(&ask).await? {
                Ok(grants) => {
                    self.link.went_through(Part::Asks);
                    if grants.tasks.is_empty() && sent.elapsed() < PAUSE {
                        self.pause(PAUSE).await?;
                    }
                    return Some((sent, grants));
                }
                Err(error) => {
                    self.link.failed(Part::Asks, &error);
                    self.pause(backoff.after(&error)).await?;
                }
            }
        }
    }

    async fn pause(&self, pause: Duration) -> Option<()> {
        self.stop.run_until_cancelled(tokio::time::sleep(pause)).await
    }

    fn fresh(&self, slots: u32) -> Ask {
        Ask {
            claim: ClaimId::random(),
            worker: self.worker.clone(),
            wanted: Wanted::Pull { types: self.types.clone(), slots, min_age_ms: 0 },
            wait_ms: u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX),
        }
    }

    /// The answer to `ask`; of a worker that stops, only if it comes within a moment.
    async fn answer(&self, ask: &Ask) -> Option<Result<Grants, ClientError>> {
        if self.stop.is_cancelled() {
            return None;
        }
        let mut answer = std::pin::pin!(self.client.ask(ask));
        if let Some(answer) = self.stop.run_until_cancelled(&mut answer).await {
            return Some(answer);
        }
        tokio::time::timeout(LAST_WORD, answer).await.ok()
    }
}
