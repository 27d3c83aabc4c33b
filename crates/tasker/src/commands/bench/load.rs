//! The load of a benchmark: a fixed number of tasks at a time (closed loop) or a second (open loop).

use std::time::{Duration, Instant};

use client::{Client, ClientError, NewTask};
use domain::{RawJson, Task, TaskId, Ttl, TypeName};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget};
use tokio::task::{JoinError, JoinSet};

use crate::commands::bench::benchmark_kind::BenchmarkKind;

/// How many tasks may be in flight when a rate is given. Further tasks are not submitted, and counted as missed.
const MAX_IN_FLIGHT: usize = 10_000;

/// How long after its time to live a task may end before the benchmark gives up waiting for it.
const END_TIMEOUT: Duration = Duration::from_mins(2);

/// The pause after a refused submission, so that a server that refuses at once is not asked ten thousand times a second.
const PAUSE_AFTER_REFUSAL: Duration = Duration::from_millis(50);

/// The largest recorded duration in microseconds: an hour.
const MAX_DURATION_MICROS: u64 = 3_600_000_000;

/// Significant decimal digits of a recorded duration.
const DURATION_DIGITS: u8 = 3;

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
    /// How long tasks are submitted.
    pub duration: Duration,
}

/// The results of a load.
pub struct Measured {
    /// The ids of accepted tasks.
    pub accepted: Vec<TaskId>,
    /// The measured durations, in microseconds.
    pub durations: Histogram<u64>,
    /// Submissions refused with 503: try again later.
    pub refused: u64,
    /// Requests that failed in any other way.
    pub errors: u64,
    /// The last of those errors.
    pub last_error: Option<String>,
    /// Tasks not submitted because too many were in flight.
    pub missed: u64,
    /// The duration of the load, including the wait for the last tasks.
    pub took: Duration,
}

/// The id of one task, if it was accepted, and the measured duration.
type TaskOutcome = (Option<TaskId>, Result<Duration, ClientError>);

impl Load {
    fn task(&self) -> NewTask<'_> {
        let (parameters, ttl) = (self.parameters.as_ref(), Some(self.ttl));
        NewTask { parameters, ttl, ..NewTask::of_type(&self.name) }
    }

    /// Submits one task, to find out whether such tasks are accepted.
    pub async fn submit_one(&self, client: &Client) -> Result<(), ClientError> {
        client.submit_once(&self.task()).await.map(drop)
    }

    /// Submits tasks until the duration is over, then waits for those in flight.
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
        let (mut measured, mut in_flight) = (Measured::default(), JoinSet::new());
        let submit = |in_flight: &mut JoinSet<TaskOutcome>| {
            let (load, client) = (self.clone(), client.clone());
            in_flight.spawn(async move { load.measure_task(&client, Instant::now()).await });
        };
        for _ in 0..self.concurrency {
            submit(&mut in_flight);
        }
        while let Some(outcome) = in_flight.join_next().await {
            measured.add(outcome, bar);
            if began.elapsed() < self.duration {
                submit(&mut in_flight);
            }
        }
        measured
    }

    /// Submits tasks at a fixed rate, whatever becomes of those before.
    async fn run_open_loop(&self, client: &Client, rate: u32, began: Instant, bar: &ProgressBar) -> Measured {
        let (mut measured, mut in_flight) = (Measured::default(), JoinSet::new());
        let interval = Duration::from_secs(1) / rate;
        let mut scheduled = began;
        while scheduled < began + self.duration {
            tokio::time::sleep_until(scheduled.into()).await;
            while let Some(outcome) = in_flight.try_join_next() {
                measured.add(outcome, bar);
            }
            if in_flight.len() < MAX_IN_FLIGHT {
                let (load, client) = (self.clone(), client.clone());
                in_flight.spawn(async move { load.measure_task(&client, scheduled).await });
            } else {
                measured.missed += 1;
            }
            scheduled += interval;
        }
        while let Some(outcome) = in_flight.join_next().await {
            measured.add(outcome, bar);
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
        let duration = match self.kind {
            BenchmarkKind::Submission => Ok(scheduled.elapsed()),
            BenchmarkKind::EndToEnd => self.wait_for_end(client, id).await.map(|_| scheduled.elapsed()),
            BenchmarkKind::Lateness => self.wait_for_end(client, id).await.map(|task| lateness(&task)),
        };
        (Some(id), duration)
    }

    async fn wait_for_end(&self, client: &Client, id: TaskId) -> Result<Task, ClientError> {
        client.wait(id, END_TIMEOUT + Duration::from_millis(self.ttl.millis())).await
    }
}

/// How long after its deadline a task ended, by the server's dates, which have milliseconds.
fn lateness(task: &Task) -> Duration {
    let late = task.end_date.zip(task.deadline).map_or(0, |(end, deadline)| end.micros_since(deadline));
    Duration::from_micros(u64::try_from(late).unwrap_or(0))
}

impl Default for Measured {
    fn default() -> Self {
        let durations = Histogram::new_with_bounds(1, MAX_DURATION_MICROS, DURATION_DIGITS);
        Self {
            accepted: Vec::new(),
            durations: durations.expect("valid bounds"),
            refused: 0,
            errors: 0,
            last_error: None,
            missed: 0,
            took: Duration::ZERO,
        }
    }
}

impl Measured {
    fn add(&mut self, outcome: Result<TaskOutcome, JoinError>, bar: &ProgressBar) {
        let (id, duration) = outcome.expect("a task of the load does not panic");
        self.accepted.extend(id);
        bar.set_message(format!("{} tasks", self.accepted.len()));
        match duration {
            Ok(duration) => {
                let micros = u64::try_from(duration.as_micros()).unwrap_or(MAX_DURATION_MICROS);
                self.durations.saturating_record(micros.clamp(1, MAX_DURATION_MICROS));
            }
            Err(error) if error.problem().is_some_and(|problem| problem.status == 503) => self.refused += 1,
            Err(error) => {
                self.errors += 1;
                self.last_error = Some(telemetry::error_chain(&error));
            }
        }
    }
}
