//! The ways of reports out of the worker: over Kafka where there is one, else over HTTP; and their end, in order.

use std::time::Duration;

use broker::Broker;
use client::Client;
use domain::WorkerName;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::kept::Kept;
use crate::link::Link;
use crate::post::Postman;
use crate::report::{Courier, Reports};

/// How long a stopping worker tries to say its last words.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// Carries reports until it is flushed, or dropped.
pub(crate) struct Mail {
    /// Where reports are put.
    pub(crate) reports: Reports,
    /// What Kafka has of them.
    pub(crate) kept: Option<Kept>,
    carriers: TaskTracker,
    last_word: CancellationToken,
    _no_more: DropGuard,
}

impl Mail {
    /// Begins to carry.
    pub(crate) fn start(client: Client, worker: WorkerName, link: Link, broker: Option<Broker>) -> Self {
        let (courier, over_http) = Courier::new(client, worker.clone(), link);
        let (carriers, last_word, no_more) =
            (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let (reports, kept, courier_last) = match broker {
            None => (over_http, None, last_word.clone()),
            Some(broker) => {
                let (reports, receiver) = over_http.beside();
                let kept = Kept::before(over_http.clone());
                let postman = Postman {
                    broker,
                    worker,
                    kept: kept.clone(),
                    receiver,
                    over_http,
                    reports: reports.clone(),
                };
                let (last, done, end) = (last_word.clone(), CancellationToken::new(), no_more.clone());
                // The postman's last words go through the courier.
                let courier_last = done.clone();
                carriers.spawn(async move {
                    let _done = done.drop_guard();
                    end.run_until_cancelled(postman.run(last)).await
                });
                (reports, Some(kept), courier_last)
            }
        };
        let end = no_more.clone();
        carriers.spawn(async move { end.run_until_cancelled(courier.run(courier_last)).await });
        carriers.close();
        Self { reports, kept, carriers, last_word, _no_more: no_more.drop_guard() }
    }

    /// Carries what is there, for a while.
    pub(crate) async fn flush(self, worker: &WorkerName) {
        self.last_word.cancel();
        if timeout(FLUSH_LIMIT, self.carriers.wait()).await.is_err() {
            let left = self.reports.count();
            warn!(worker.name = %worker, "worker {worker} leaves {left} reports that the Backend did not take");
        }
    }
}
