//! The heart: a sign of life from a thread and a connection of its own, so that no load on the worker can silence it.

use std::thread;
use std::time::Duration;

use client::{Backoff, Client};
use domain::{Heartbeat, TypeName, WorkerName};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::execution::running_tasks::Running;
use crate::outage_log::{Activity, BackendOutageLog};
use crate::registration::WorkerError;
use crate::reporting::unconfirmed_results::UnconfirmedResults;

/// No beat waits longer than this for its answer, so that the next one can try.
const LIMIT: Duration = Duration::from_secs(5);

/// What a heart says, and how often.
pub(crate) struct HeartbeatSender {
    pub(crate) client: Client,
    pub(crate) worker: WorkerName,
    pub(crate) slots: u32,
    pub(crate) types: Vec<TypeName>,
    pub(crate) period: Duration,
    pub(crate) running: Running,
    /// Results that Kafka has: have their tasks ended?
    pub(crate) unconfirmed: Option<UnconfirmedResults>,
    pub(crate) link: BackendOutageLog,
}

/// A heart that beats until this is dropped.
pub(crate) struct HeartbeatHandle {
    heard: watch::Receiver<bool>,
    stop: DropGuard,
}

impl HeartbeatSender {
    /// Begins to beat.
    pub(crate) fn start(mut self) -> Result<HeartbeatHandle, WorkerError> {
        self.client = self.client.with_own_connections().map_err(WorkerError::Client)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(WorkerError::Thread)?;
        let stop = CancellationToken::new();
        let (say, heard) = watch::channel(false);
        let stopped = stop.clone();
        thread::Builder::new()
            .name("tasker-heart".to_owned())
            .spawn(move || runtime.block_on(stopped.run_until_cancelled(self.heartbeat_loop(&say))))
            .map_err(WorkerError::Thread)?;
        Ok(HeartbeatHandle { heard, stop: stop.drop_guard() })
    }

    async fn heartbeat_loop(&self, heard: &watch::Sender<bool>) {
        let mut backoff = Backoff::default();
        // Repeated until it is heard: a predecessor of this name, killed, may hold what is ended then.
        let mut first = true;
        loop {
            // What Kafka has only before the answer comes was not asked about as such.
            let (running, asked) = (
                self.running.held(),
                self.unconfirmed.as_ref().map(UnconfirmedResults::held).unwrap_or_default(),
            );
            let heartbeat_loop = Heartbeat {
                worker: self.worker.clone(),
                slots: self.slots,
                types: self.types.clone(),
                running: [running, asked.clone()].concat(),
                first,
            };
            let pause = match self.client.heartbeat(&heartbeat_loop, LIMIT).await {
                Ok(answer) => {
                    answer.stop.iter().for_each(|held| self.running.stop(held));
                    if let Some(unconfirmed) = &self.unconfirmed {
                        unconfirmed.heard(&asked, &answer.stop);
                    }
                    backoff.reset();
                    self.link.went_through(Activity::HeartbeatSender);
                    heard.send_replace(true);
                    first = false;
                    self.period
                }
                Err(error) => {
                    self.link.failed(Activity::HeartbeatSender, &error);
                    backoff.after(&error).min(self.period)
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}

impl HeartbeatHandle {
    /// Waits for the first beat that the Backend answers.
    pub(crate) async fn first(&mut self) {
        let _ = self.heard.wait_for(|heard| *heard).await;
    }

    /// Ends it, and waits for the end of the thread's work.
    pub(crate) async fn stop(self) {
        let Self { mut heard, stop } = self;
        drop(stop);
        while heard.changed().await.is_ok() {}
    }
}
