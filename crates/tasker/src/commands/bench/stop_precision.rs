//! How precisely tasks of one isolation level are ended and their work is stopped, at the deadline and after a cancellation.

use std::hint::spin_loop;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, available_parallelism};
use std::time::Duration;

use anyhow::{Result, bail};
use client::{Client, NewTask};
use domain::{Status, Task, TaskId, Timestamp, Ttl};
use futures_util::{StreamExt, TryStreamExt, stream};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use crate::commands::bench::level::Level;
use crate::commands::bench::private_server::PrivateServer;
use crate::commands::bench::report::Percentiles;

/// A time to live that no cancelled task reaches.
const LONG_TTL_MS: u64 = 3_600_000;

/// How long after its end the work of a task may take to stop before the benchmark gives up.
const STOP_TIMEOUT: Duration = Duration::from_mins(1);

/// The pause between two looks at a task.
const LOOK_PAUSE: Duration = Duration::from_millis(10);

/// The largest recorded duration, in microseconds: a minute.
const MAX_MICROS: u64 = 60_000_000;

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub struct StopPrecision {
    /// The isolation level.
    pub level: Level,
    /// How many tasks are ended in each way.
    pub tasks: u32,
    /// How many run at a time.
    pub concurrency: u32,
    /// The time to live of those that end at their deadlines.
    pub ttl: Ttl,
    /// Whether every core computes something else meanwhile.
    pub is_busy: bool,
}

/// The report. Durations are in milliseconds.
#[derive(Serialize)]
pub struct PrecisionReport {
    bench: &'static str,
    level: &'static str,
    tasks: u32,
    concurrency: u32,
    ttl_ms: u64,
    busy: bool,
    /// From the deadline to the end of the task.
    verdict: Percentiles,
    /// From the deadline until nothing of the task's work was left.
    stop: Percentiles,
    /// From the end of a cancelled task until nothing of its work was left.
    cancel: Percentiles,
}

/// Threads that compute until this is dropped.
struct BusyCores(Arc<AtomicBool>);

impl StopPrecision {
    /// Measures with a Tasker of its own.
    pub async fn measure(self) -> Result<PrecisionReport> {
        let server = PrivateServer::start(self.level, self.concurrency).await?;
        let _busy = self.is_busy.then(BusyCores::start);
        let bar =
            ProgressBar::with_draw_target(Some(2 * u64::from(self.tasks)), ProgressDrawTarget::stderr());
        let (mut verdict, mut stop, mut cancel) = (durations(), durations(), durations());
        let expired = self.each_task(|| self.expire(&server.client), &bar).await?;
        for task in &expired {
            record(&mut verdict, task.deadline, task.end_date);
            record(&mut stop, task.deadline, task.stopped_date);
        }
        for task in &self.each_task(|| self.cancel(&server.client), &bar).await? {
            record(&mut cancel, task.end_date, task.stopped_date);
        }
        bar.finish_and_clear();
        server.stop().await?;
        Ok(PrecisionReport {
            bench: "ttl",
            level: self.level.name(),
            tasks: self.tasks,
            concurrency: self.concurrency,
            ttl_ms: self.ttl.millis(),
            busy: self.is_busy,
            verdict: Percentiles::of(&verdict),
            stop: Percentiles::of(&stop),
            cancel: Percentiles::of(&cancel),
        })
    }

    async fn each_task<F: Future<Output = Result<Task>>>(
        &self,
        run: impl Fn() -> F,
        bar: &ProgressBar,
    ) -> Result<Vec<Task>> {
        let concurrency = usize::try_from(self.concurrency).unwrap_or(usize::MAX);
        let tasks = stream::iter(0..self.tasks).map(|_| run()).buffer_unordered(concurrency);
        tasks.inspect(|_| bar.inc(1)).try_collect().await
    }

    /// A task that ends at its deadline.
    async fn expire(&self, client: &Client) -> Result<Task> {
        let id = self.submit(client, self.ttl).await?;
        client.wait(id, STOP_TIMEOUT + Duration::from_millis(self.ttl.millis())).await?;
        stopped(client, id).await
    }

    /// A task that is cancelled while it runs.
    async fn cancel(&self, client: &Client) -> Result<Task> {
        let id = self.submit(client, LONG_TTL_MS.try_into().expect("a valid time to live")).await?;
        while client.get(id).await?.status == Status::Created {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        // The program is started by then.
        tokio::time::sleep(Duration::from_millis(self.ttl.millis())).await;
        client.cancel(id).await?;
        stopped(client, id).await
    }

    async fn submit(&self, client: &Client, ttl: Ttl) -> Result<TaskId> {
        let (name, parameters) = (self.level.type_name(), self.level.parameters());
        let task = NewTask { parameters: parameters.as_ref(), ttl: Some(ttl), ..NewTask::of_type(&name) };
        Ok(client.submit_once(&task).await?)
    }
}

/// The task, once it shows that its work has stopped.
async fn stopped(client: &Client, id: TaskId) -> Result<Task> {
    let stopped = async {
        loop {
            let task = client.get(id).await?;
            if task.stopped_date.is_some() {
                return Ok(task);
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    };
    match tokio::time::timeout(STOP_TIMEOUT, stopped).await {
        Ok(task) => task,
        Err(_) => bail!("the work of task {id} has not stopped within a minute"),
    }
}

fn durations() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_MICROS, 3).expect("valid bounds")
}

/// Records the time between two dates of a task; one that is not there counts as nothing.
fn record(durations: &mut Histogram<u64>, from: Option<Timestamp>, to: Option<Timestamp>) {
    let micros = to.zip(from).map_or(0, |(to, from)| to.micros_since(from));
    durations.saturating_record(u64::try_from(micros).unwrap_or(0).clamp(1, MAX_MICROS));
}

impl PrecisionReport {
    /// The report as text.
    pub fn table(&self) -> String {
        let Self { level, tasks, concurrency, ttl_ms, busy, verdict, stop, cancel, .. } = self;
        let cores = if *busy { "every core busy" } else { "idle" };
        let line = |what: &str, Percentiles { p50, p99, max, .. }: &Percentiles| {
            format!("\n{what}, ms: p50 {p50:.0}, p99 {p99:.0}, max {max:.0}")
        };
        format!("ttl, level {level}, {tasks} tasks, {concurrency} at a time, ttl {ttl_ms} ms, {cores}")
            + &line("ended after the deadline", verdict)
            + &line("stopped after the deadline", stop)
            + &line("stopped after a cancellation", cancel)
    }
}

impl BusyCores {
    fn start() -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        for _ in 0..available_parallelism().map_or(1, NonZeroUsize::get) {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    spin_loop();
                }
            });
        }
        Self(is_over)
    }
}

impl Drop for BusyCores {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
