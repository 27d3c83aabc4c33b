//! Sends how far the running operations are: the latest report of each, at most once a second, over HTTP also beside Kafka.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use domain::limits::MAX_PROGRESS_REPORTS_PER_REQUEST;
use domain::{GrantRef, ProgressReport, ProgressReports, WorkerName};
use parking_lot::Mutex;
use telemetry::error_chain;
use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// The time between two requests.
const PERIOD: Duration = Duration::from_secs(1);

/// The latest report of each grant that has not been sent. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ProgressQueue(Arc<Latest>);

#[derive(Debug, Default)]
struct Latest {
    reports: Mutex<HashMap<GrantRef, ProgressReport>>,
    added: Notify,
}

impl ProgressQueue {
    /// Adds a report in the place of an earlier one of the same grant.
    pub(crate) fn add(&self, report: ProgressReport) {
        let grant = GrantRef { id: report.id, attempt: report.attempt };
        self.0.reports.lock().insert(grant, report);
        self.0.added.notify_one();
    }

    /// Waits until a report has been added. There may be one waiter only.
    pub(crate) async fn added(&self) {
        self.0.added.notified().await;
    }

    /// Takes the reports, in no order.
    pub(crate) fn take(&self) -> Vec<ProgressReport> {
        std::mem::take(&mut *self.0.reports.lock()).into_values().collect()
    }

    /// Adds reports again that could not be sent, unless there are later ones.
    fn put_back(&self, reports: Vec<ProgressReport>) {
        let mut latest = self.0.reports.lock();
        for report in reports {
            latest.entry(GrantRef { id: report.id, attempt: report.attempt }).or_insert(report);
        }
        self.0.added.notify_one();
    }
}

/// Sends the reports of a queue until it is dropped. What is left then is of no use: the tasks have ended.
pub(crate) struct ProgressReporter {
    pub(crate) queue: ProgressQueue,
    _task: AbortOnDropHandle<()>,
}

impl ProgressReporter {
    /// Starts to send reports of `worker`.
    pub(crate) fn start(client: Client, worker: WorkerName) -> Self {
        let queue = ProgressQueue::default();
        let task = TaskTracker::new().spawn(run(client, worker, queue.clone()));
        Self { queue, _task: AbortOnDropHandle::new(task) }
    }
}

async fn run(client: Client, worker: WorkerName, queue: ProgressQueue) {
    loop {
        queue.added().await;
        let mut reports = queue.take();
        while !reports.is_empty() {
            let rest = reports.split_off(reports.len().min(MAX_PROGRESS_REPORTS_PER_REQUEST));
            let request = ProgressReports { worker: worker.clone(), progress: reports };
            if let Err(error) = client.report_progress(&request).await {
                tracing::debug!(worker.name = %worker, error = %error_chain(&error), "the progress of tasks could not be reported");
                if error.is_temporary() {
                    queue.put_back(request.progress);
                    queue.put_back(rest);
                }
                break;
            }
            reports = rest;
        }
        sleep(PERIOD).await;
    }
}
