//! The worker's life: register, show that it lives, take work for every free slot, and leave politely.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use client::Client;
use domain::WorkerName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::ask::Asker;
use crate::attend::Desk;
use crate::catalogue::Operations;
use crate::deadline::Deadline;
use crate::heartbeat::Heart;
use crate::link::Link;
use crate::register::{WorkerError, register};
use crate::report::{Courier, Reports};
use crate::running::Running;

/// How much a worker does, and how it leaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What it calls itself.
    pub name: WorkerName,
    /// How many tasks it runs at once.
    pub slots: NonZeroU32,
    /// How long a slot rests after a task.
    pub delay_between_tasks: Duration,
    /// Between two signs of life.
    pub heartbeat: Duration,
    /// How long a stopping worker lets its tasks run.
    pub drain: Duration,
}

impl Settings {
    /// The usual ones, for a worker called `name`.
    pub fn named(name: WorkerName) -> Self {
        Self {
            name,
            slots: NonZeroU32::new(8).expect("8 is not 0"),
            delay_between_tasks: Duration::ZERO,
            heartbeat: Duration::from_secs(2),
            drain: Duration::from_secs(30),
        }
    }
}

/// Runs operations for whoever submits tasks.
pub struct Worker {
    client: Client,
    operations: Arc<Operations>,
    settings: Settings,
}

/// A worker that has this many unsettled reports per slot takes no more work: they are held in memory.
const REPORTS_PER_SLOT: usize = 10;

/// How long an operation that is being stopped may take to reach its next await.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// How long a stopping worker tries to say its last words.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

impl Worker {
    /// A worker; nothing happens before [`Worker::run`].
    pub fn new(client: Client, operations: Operations, settings: Settings) -> Self {
        Self { client, operations: Arc::new(operations), settings }
    }

    /// Runs until `stop` is cancelled. It waits for Identity and the Backend as long as it takes, and loses none of its
    /// work when they go and come back. It fails only if the Backend refuses an operation for good.
    ///
    /// After `stop` it takes nothing new, lets what runs end within `drain`, hands the rest back, and returns a few seconds
    /// later at most.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        let name = &self.settings.name;
        let link = Link::new(name.clone());
        if !register(&self.client, &self.operations, &link, &stop).await? {
            return Ok(());
        }
        let running = Running::default();
        let mut pulse = self.heart(running.clone(), link.clone()).start()?;
        if stop.run_until_cancelled(pulse.first()).await.is_none() {
            pulse.stop().await;
            return Ok(());
        }
        info!(worker.name = %name, "worker {name} takes tasks, {} at once", self.settings.slots);

        let (courier, reports) = Courier::new(self.client.clone(), name.clone(), link.clone());
        let (last_word, no_more) = (CancellationToken::new(), CancellationToken::new());
        let mail = TaskTracker::new();
        let (last, end) = (last_word.clone(), no_more.clone());
        mail.spawn(async move { end.run_until_cancelled(courier.run(last)).await });
        mail.close();
        let desk = Arc::new(Desk {
            operations: Arc::clone(&self.operations),
            running,
            reports: reports.clone(),
            tracker: TaskTracker::new(),
            release: CancellationToken::new(),
        });
        // Whoever drops this future instead of cancelling `stop` leaves nothing running either.
        let _abandoned = (desk.release.clone().drop_guard(), no_more.drop_guard());

        self.take(&desk, link, &stop).await;
        self.drain(&desk).await;
        last_word.cancel();
        self.flush(&mail, &reports).await;
        pulse.stop().await;
        info!(worker.name = %name, "worker {name} has stopped");
        Ok(())
    }

    fn heart(&self, running: Running, link: Link) -> Heart {
        Heart {
            client: self.client.clone(),
            worker: self.settings.name.clone(),
            slots: self.settings.slots.get(),
            types: self.operations.types(),
            period: self.settings.heartbeat,
            running,
            link,
        }
    }

    /// Asks for as many tasks as there are free slots, one ask at a time, until `stop`.
    async fn take(&self, desk: &Arc<Desk>, link: Link, stop: &CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.slots()));
        let asker = Asker {
            client: self.client.clone(),
            worker: self.settings.name.clone(),
            types: self.operations.types(),
            link,
            stop: stop.clone(),
        };
        loop {
            let Some(mut free) = stop.run_until_cancelled(self.free(&slots, &desk.reports)).await else {
                return;
            };
            let wanted = u32::try_from(free.num_permits()).unwrap_or(u32::MAX);
            let Some((sent, grants)) = asker.ask(wanted).await else { return };
            for grant in grants.tasks {
                let deadline = Deadline::of(sent, grants.held_ms, grant.remaining_ms);
                match free.split(1).filter(|_| !stop.is_cancelled()) {
                    Some(slot) => {
                        let (desk, stop, delay) =
                            (Arc::clone(desk), stop.clone(), self.settings.delay_between_tasks);
                        let tracker = desk.tracker.clone();
                        tracker.spawn(async move {
                            desk.attend(grant, deadline).await;
                            stop.run_until_cancelled(tokio::time::sleep(delay)).await;
                            drop(slot);
                        });
                    }
                    None => desk.hand_back(&grant, deadline),
                }
            }
        }
    }

    /// Every slot that is free, once there is one and reports do not pile up.
    async fn free(&self, slots: &Arc<Semaphore>, reports: &Reports) -> OwnedSemaphorePermit {
        let mut free = Arc::clone(slots).acquire_owned().await.expect("the slots are never closed");
        reports.at_most(self.slots().saturating_mul(REPORTS_PER_SLOT)).await;
        while let Ok(more) = Arc::clone(slots).try_acquire_owned() {
            free.merge(more);
        }
        free
    }

    fn slots(&self) -> usize {
        usize::try_from(self.settings.slots.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
    }

    /// Lets what runs end, for a while; then stops it and hands it back.
    async fn drain(&self, desk: &Desk) {
        let (name, drain) = (&self.settings.name, self.settings.drain);
        let running = desk.running.count();
        info!(worker.name = %name, "worker {name} stops; {running} tasks may end within {drain:.1?}");
        desk.tracker.close();
        if timeout(drain, desk.tracker.wait()).await.is_ok() {
            return;
        }
        desk.release.cancel();
        if timeout(ABORT_LIMIT, desk.tracker.wait()).await.is_err() {
            // Not handed back: it would run twice at once. The sweep ends them.
            let deaf = desk.running.count();
            warn!(worker.name = %name, "worker {name} leaves {deaf} tasks that do not stop to their deadlines");
        }
    }

    async fn flush(&self, mail: &TaskTracker, reports: &Reports) {
        if timeout(FLUSH_LIMIT, mail.wait()).await.is_err() {
            let (name, left) = (&self.settings.name, reports.count());
            warn!(worker.name = %name, "worker {name} leaves {left} reports that the Backend did not take");
        }
    }
}
