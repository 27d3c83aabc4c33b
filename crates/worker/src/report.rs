//! The worker's reports: gathered while one request is in flight, kept until they are accepted, refused, or too late.

use std::collections::VecDeque;
use std::time::Duration;

use client::{Client, ClientError};
use domain::{Report, Reported, Settled, WorkerName};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::backoff::Backoff;
use crate::causes::sentence;
use crate::deadline::{Deadline, Moment};
use crate::link::{Link, Part};

/// The most reports of one request.
const MOST: usize = 100;

/// A request gathers no more once its results are this long, in bytes.
const LONG: usize = 1 << 20;

/// A report is kept this long after its task's deadline: the Backend may still want to count it as late.
const TOO_LATE: Duration = Duration::from_secs(30);

/// How a failure begins whose result the Backend would not have.
const RESULT_REFUSED: &str = "RESULT_REFUSED";

/// A report and the end of its task's life.
struct Pending {
    report: Report,
    deadline: Deadline,
}

/// Where reports are put. It never waits: how much may lie here is the asker's concern.
#[derive(Clone)]
pub(crate) struct Reports {
    sender: mpsc::UnboundedSender<Pending>,
    unsettled: watch::Sender<usize>,
}

/// Carries reports to the Backend, one request at a time.
pub(crate) struct Courier {
    client: Client,
    worker: WorkerName,
    link: Link,
    receiver: mpsc::UnboundedReceiver<Pending>,
    unsettled: watch::Sender<usize>,
    /// What must go again, before anything else.
    again: VecDeque<Vec<Pending>>,
}

impl Reports {
    /// Adds one.
    pub(crate) fn add(&self, report: Report, deadline: Deadline) {
        self.unsettled.send_modify(|count| *count += 1);
        if self.sender.send(Pending { report, deadline }).is_err() {
            self.unsettled.send_modify(|count| *count -= 1);
            debug!("a report came after the worker's last");
        }
    }

    /// Waits until no more than `limit` have not been settled.
    pub(crate) async fn at_most(&self, limit: usize) {
        let mut unsettled = self.unsettled.subscribe();
        let _ = unsettled.wait_for(|count| *count <= limit).await;
    }

    /// How many have not been settled.
    pub(crate) fn count(&self) -> usize {
        *self.unsettled.borrow()
    }
}

impl Courier {
    pub(crate) fn new(client: Client, worker: WorkerName, link: Link) -> (Self, Reports) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let unsettled = watch::Sender::new(0);
        let reports = Reports { sender, unsettled: unsettled.clone() };
        (Self { client, worker, link, receiver, unsettled, again: VecDeque::new() }, reports)
    }

    /// Carries until `last` is cancelled and everything that was put there by then is settled.
    pub(crate) async fn run(mut self, last: CancellationToken) {
        let mut backoff = Backoff::default();
        while let Some(batch) = self.batch(&last).await {
            let mut batch = self.without_the_late(batch);
            if batch.is_empty() {
                continue;
            }
            let reports = domain::Reports {
                worker: self.worker.clone(),
                reports: batch.iter().map(|pending| pending.report.clone()).collect(),
            };
            match self.client.report(&reports).await {
                Ok(settled) => {
                    backoff.reset();
                    self.link.went_through(Part::Reports);
                    self.settled(&batch, &settled);
                }
                Err(error) if error.is_temporary() || error.is_about_the_caller() => {
                    self.link.failed(Part::Reports, &error);
                    self.again.push_front(batch);
                    tokio::time::sleep(backoff.after(&error)).await;
                }
                Err(_) if batch.len() > 1 => {
                    // One of them is refused, and must not take the others with it.
                    let rest = batch.split_off(batch.len() / 2);
                    self.again.push_front(rest);
                    self.again.push_front(batch);
                }
                Err(error) => self.refused(batch, &error),
            }
        }
    }

    /// What goes next: what failed before, else whatever has gathered.
    async fn batch(&mut self, last: &CancellationToken) -> Option<Vec<Pending>> {
        if let Some(batch) = self.again.pop_front() {
            return Some(batch);
        }
        let first = tokio::select! {
            biased;
            first = self.receiver.recv() => first,
            () = last.cancelled() => {
                self.receiver.close();
                self.receiver.recv().await
            }
        }?;
        let mut length = first.length();
        let mut batch = vec![first];
        while batch.len() < MOST && length < LONG {
            let Ok(next) = self.receiver.try_recv() else { break };
            length += next.length();
            batch.push(next);
        }
        Some(batch)
    }

    fn without_the_late(&self, batch: Vec<Pending>) -> Vec<Pending> {
        let now = Moment::now();
        let (late, kept): (Vec<_>, Vec<_>) =
            batch.into_iter().partition(|pending| pending.deadline.past(now) > TOO_LATE);
        for Report { id, .. } in late.iter().map(|pending| &pending.report) {
            warn!(task.id = %id, "the report of task {id} is given up: its time passed before the Backend could be reached");
        }
        self.forget(late.len());
        kept
    }

    fn settled(&self, batch: &[Pending], settled: &[Settled]) {
        if batch.len() != settled.len() {
            error!("the Backend settled {} of {} reports", settled.len(), batch.len());
        }
        for (pending, settled) in batch.iter().zip(settled) {
            say(&pending.report, *settled);
        }
        self.forget(batch.len());
    }

    /// The Backend will never have this one. A result that it will not have is a failure that it will.
    fn refused(&mut self, batch: Vec<Pending>, refusal: &ClientError) {
        for Pending { report, deadline } in batch {
            let (id, why) = (report.id, sentence(refusal));
            if matches!(report.reported, Reported::Result(_)) {
                warn!(task.id = %id, error = why, "the result of task {id} was refused: {why}");
                let reported = Reported::Error(format!("{RESULT_REFUSED}: {why}"));
                self.again.push_front(vec![Pending { report: Report { reported, ..report }, deadline }]);
            } else {
                error!(task.id = %id, error = why, "the report of task {id} was refused: {why}");
                self.forget(1);
            }
        }
    }

    fn forget(&self, settled: usize) {
        self.unsettled.send_modify(|count| *count -= settled);
    }
}

impl Pending {
    /// Its longest part, in bytes.
    fn length(&self) -> usize {
        match &self.report.reported {
            Reported::Result(result) => result.text().len(),
            Reported::Error(said) => said.len(),
            Reported::Released => 0,
        }
    }
}

/// What became of a report: the ordinary quietly, the rest so that it is seen.
fn say(report: &Report, settled: Settled) {
    let id = report.id;
    match settled {
        Settled::Finished => debug!(task.id = %id, "task {id} finished"),
        Settled::Released => debug!(task.id = %id, "task {id} is ready for another worker"),
        Settled::Cancelled { reason } => {
            debug!(task.id = %id, task.reason = %reason, "task {id} is cancelled: {reason}");
        }
        Settled::Late { late_by_ms } => {
            warn!(task.id = %id, late.ms = late_by_ms, "the report of task {id} was {late_by_ms} ms late and refused");
        }
        Settled::Stale => info!(task.id = %id, "the report of task {id} was refused: another grant holds it"),
        Settled::Unknown => {
            warn!(task.id = %id, "the report of task {id} was refused: there is no such task");
        }
    }
}
