//! The load of a benchmark: a fixed number of tasks at a time (closed loop) or a second (open loop).

use std::time::{Duration, Instant};

use client::{Client, ClientError, NewTask};
use domain::{RawJson, Status, Task, TaskId, Timestamp, Ttl, TypeName};
use indicatif::{ProgressBar, ProgressDrawTarget};
use tokio::task::JoinSet;

use crate::commands::bench::benchmark_kind::BenchmarkKind;
use crate::commands::bench::measured::{Measured, Sample, TaskOutcome, WorkStop};

/// How many tasks may be in flight when a rate is given. Further tasks are not submitted, and counted as missed.
const MAX_IN_FLIGHT: usize = 10_000;

/// How long after its time to live a task may end before the benchmark gives up waiting for it.
const END_TIMEOUT: Duration = Duration::from_mins(2);

/// How long after the end of a task its worker may take to say that the work has stopped: longer than it tries to kill a process.
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// The pause between two readings of a task whose start or stop is waited for. What is measured are the server's dates.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The pause after a refused submission, so that a server that refuses at once is not asked ten thousand times a second.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(50);

/// The time to live of a task that is to be cancelled, in milliseconds: it must not end before.
const TTL_OF_CANCELLED: u64 = 600_000;

/// The tasks to submit, how many, and for how long.
#[derive(Debug, Clone)]
pub struct Load {
    /// What is measured of each task.
    pub kind: BenchmarkKind,
    /// The type of the tasks.
    pub name: TypeName,
    /// The parameters of the tasks.
    pub parameters: Option<RawJson>,
    /// The time to live of the tasks.
    pub ttl: Ttl,
    /// Tasks at a time, if no rate is given.
    pub concurrency: u32,
    /// Tasks a second.
    pub rate: Option<u32>,
    /// When the load ends.
    pub length: LoadLength,
}

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub enum LoadLength {
    /// After this time.
    Time(Duration),
    /// After this many submissions.
    Tasks(u32),
}

impl LoadLength {
    /// Whether another task is to be submitted `elapsed` after the begin, when `submitted` were.
    fn allows(self, submitted: u32, elapsed: Duration) -> bool {
        match self {
            Self::Time(time) => elapsed < time,
            Self::Tasks(tasks) => submitted < tasks,
        }
    }
}

impl Load {
    /// The same load, whose tasks are cancelled when they have run for half of their time to live.
    pub fn with_cancellations(self) -> Self {
        Self { kind: BenchmarkKind::Cancellation, ..self }
    }

    fn task(&self) -> NewTask<'_> {
        let ttl = match self.kind {
            BenchmarkKind::Cancellation => TTL_OF_CANCELLED.try_into().expect("a valid time to live"),
            BenchmarkKind::Submission | BenchmarkKind::EndToEnd | BenchmarkKind::Lateness => self.ttl,
        };
        NewTask { parameters: self.parameters.as_ref(), ttl: Some(ttl), ..NewTask::of_type(&self.name) }
    }

    /// Submits one task, to find out whether such tasks are accepted.
    pub async fn submit_one(&self, client: &Client) -> Result<(), ClientError> {
        client.submit_once(&self.task()).await.map(drop)
    }

    /// Submits tasks until the load is over, then waits for those in flight.
    pub async fn run(&self, client: &Client) -> Measured {
        let began = Instant::now();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(250));
        let mut measured = match self.rate {
            None => self.run_closed_loop(client, began, &bar).await,
            Some(rate) => self.run_open_loop(client, rate, began, &bar).await,
        };
        bar.finish_and_clear();
        measured.took = began.elapsed();
        measured
    }

    /// Submits a task whenever another has ended.
    async fn run_closed_loop(&self, client: &Client, began: Instant, bar: &ProgressBar) -> Measured {
        let (mut measured, mut in_flight, mut submitted) = (Measured::default(), JoinSet::new(), 0);
        loop {
            while in_flight.len() < self.concurrency as usize
                && self.length.allows(submitted, began.elapsed())
            {
                let (load, client) = (self.clone(), client.clone());
                in_flight.spawn(async move { load.measure_task(&client, Instant::now()).await });
                submitted += 1;
            }
            let Some(outcome) = in_flight.join_next().await else { return measured };
            measured.add(outcome.expect("a task of the load does not panic"));
            show(bar, &measured);
        }
    }

    /// Submits tasks at a fixed rate, whatever becomes of those before.
    async fn run_open_loop(&self, client: &Client, rate: u32, began: Instant, bar: &ProgressBar) -> Measured {
        let (mut measured, mut in_flight, mut submitted) = (Measured::default(), JoinSet::new(), 0);
        let interval = Duration::from_secs(1) / rate;
        let mut scheduled = began;
        while self.length.allows(submitted, scheduled - began) {
            tokio::time::sleep_until(scheduled.into()).await;
            while let Some(outcome) = in_flight.try_join_next() {
                measured.add(outcome.expect("a task of the load does not panic"));
            }
            show(bar, &measured);
            if in_flight.len() < MAX_IN_FLIGHT {
                let (load, client) = (self.clone(), client.clone());
                in_flight.spawn(async move { load.measure_task(&client, scheduled).await });
            } else {
                measured.missed += 1;
            }
            submitted += 1;
            scheduled += interval;
        }
        while let Some(outcome) = in_flight.join_next().await {
            measured.add(outcome.expect("a task of the load does not panic"));
        }
        measured
    }

    /// Submits one task and measures it. Durations are counted from `scheduled`, when it should have been submitted.
    async fn measure_task(&self, client: &Client, scheduled: Instant) -> TaskOutcome {
        let id = match client.submit_once(&self.task()).await {
            Ok(id) => id,
            Err(error) => {
                tokio::time::sleep(PAUSE_AFTER_REFUSAL).await;
                return (None, Err(error));
            }
        };
        let since_scheduled = || Some(Sample { duration: scheduled.elapsed(), stop: WorkStop::NotMeasured });
        let sample = match self.kind {
            BenchmarkKind::Submission => Ok(since_scheduled()),
            BenchmarkKind::EndToEnd => self.wait_for_end(client, id).await.map(|_| since_scheduled()),
            BenchmarkKind::Lateness => self.measure_lateness(client, id).await,
            BenchmarkKind::Cancellation => self.measure_cancellation(client, id).await,
        };
        (Some(id), sample)
    }

    async fn wait_for_end(&self, client: &Client, id: TaskId) -> Result<Task, ClientError> {
        client.wait(id, END_TIMEOUT + Duration::from_millis(self.ttl.millis())).await
    }

    /// How long after its deadline the task ended, and its work stopped, by the server's dates, which have milliseconds.
    async fn measure_lateness(&self, client: &Client, id: TaskId) -> Result<Option<Sample>, ClientError> {
        let task = self.wait_for_end(client, id).await?;
        let Some((end, deadline)) = task.end_date.zip(task.deadline) else { return Ok(None) };
        let stop = match wait_for_stop(client, id).await? {
            Some(stopped) => WorkStop::After(between(deadline, stopped)),
            None => WorkStop::Unknown,
        };
        Ok(Some(Sample { duration: between(deadline, end), stop }))
    }

    /// How long the request to cancel the running task took, and how long after the request its work stopped: no two clocks are
    /// compared, so the time of the answer's way back is part of both.
    async fn measure_cancellation(&self, client: &Client, id: TaskId) -> Result<Option<Sample>, ClientError> {
        let task = poll(client, id, END_TIMEOUT, |task| task.status != Status::Created).await?;
        if task.status != Status::Running {
            return Ok(None);
        }
        // Its program has started by then.
        tokio::time::sleep(Duration::from_millis(self.ttl.millis()) / 2).await;
        let requested = Instant::now();
        let cancelled = client.cancel(id).await?;
        let duration = requested.elapsed();
        let stop = match cancelled.end_date.zip(wait_for_stop(client, id).await?) {
            Some((end, stopped)) => WorkStop::After(duration + between(end, stopped)),
            None => WorkStop::Unknown,
        };
        Ok(Some(Sample { duration, stop }))
    }
}

/// When the work of the ended task has stopped; `None` if the server is not told in time.
async fn wait_for_stop(client: &Client, id: TaskId) -> Result<Option<Timestamp>, ClientError> {
    Ok(poll(client, id, STOP_TIMEOUT, |task| task.stopped_date.is_some()).await?.stopped_date)
}

/// The task as soon as it fulfils `condition`, or after `limit`.
async fn poll(
    client: &Client,
    id: TaskId,
    limit: Duration,
    condition: impl Fn(&Task) -> bool,
) -> Result<Task, ClientError> {
    let began = Instant::now();
    loop {
        let task = client.get(id).await?;
        if condition(&task) || began.elapsed() > limit {
            return Ok(task);
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// The time from `start` to `end`; none if `end` is earlier.
fn between(start: Timestamp, end: Timestamp) -> Duration {
    Duration::from_micros(u64::try_from(end.micros_since(start)).unwrap_or(0))
}

fn show(bar: &ProgressBar, measured: &Measured) {
    bar.set_message(format!("{} tasks", measured.accepted.len()));
}
