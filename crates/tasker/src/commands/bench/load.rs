//! The load: so many at a time, or so many a second.

use std::time::{Duration, Instant};

use client::{Client, ClientError};
use domain::{RawJson, Task, TaskId, Ttl, TypeName};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressDrawTarget};
use tokio::task::{JoinError, JoinSet};

use crate::commands::bench::Measure;

/// How many may be on their way when a rate is given; what comes beyond them is not sent, and counted.
const MOST: usize = 10_000;

/// How long a task may outlast its life and its wait before it is given up.
const PATIENCE: Duration = Duration::from_mins(2);

/// After a submission that was refused.
const BREATH: Duration = Duration::from_millis(50);

/// From a microsecond to an hour, with three digits.
const LONGEST: u64 = 3_600_000_000;

/// What is sent, how much of it, and for how long.
#[derive(Debug, Clone)]
pub struct Load {
    pub(crate) measure: Measure,
    pub name: TypeName,
    pub parameters: Option<RawJson>,
    pub ttl: Ttl,
    pub concurrency: u32,
    pub rate: Option<u32>,
    pub duration: Duration,
}

/// What came of it.
pub struct Measured {
    pub accepted: Vec<TaskId>,
    /// Microseconds.
    pub times: Histogram<u64>,
    /// Told to come back (503).
    pub refused: u64,
    /// Everything else that was no yes.
    pub errors: u64,
    pub last_error: Option<String>,
    /// Not sent: too many were on their way.
    pub missed: u64,
    pub took: Duration,
}

/// What came of one task.
type One = (Option<TaskId>, Result<Duration, ClientError>);

impl Load {
    /// One task, to see that it can be submitted at all.
    pub async fn probe(&self, client: &Client) -> Result<(), ClientError> {
        client.submit(&self.name, self.parameters.as_ref(), Some(self.ttl)).await.map(drop)
    }

    /// Sends until the time is over, then waits for what is on its way.
    pub async fn run(&self, client: &Client) -> Measured {
        let began = Instant::now();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(250));
        let mut measured = match self.rate {
            None => self.so_many_at_a_time(client, began, &bar).await,
            Some(rate) => self.so_many_a_second(client, rate, began, &bar).await,
        };
        bar.finish_and_clear();
        measured.took = began.elapsed();
        measured
    }

    async fn so_many_at_a_time(&self, client: &Client, began: Instant, bar: &ProgressBar) -> Measured {
        let (mut measured, mut flights) = (Measured::default(), JoinSet::new());
        let send = |flights: &mut JoinSet<One>| {
            let (load, client) = (self.clone(), client.clone());
            flights.spawn(async move { load.one(&client, Instant::now()).await });
        };
        for _ in 0..self.concurrency {
            send(&mut flights);
        }
        while let Some(one) = flights.join_next().await {
            measured.take(one, bar);
            if began.elapsed() < self.duration {
                send(&mut flights);
            }
        }
        measured
    }

    async fn so_many_a_second(
        &self,
        client: &Client,
        rate: u32,
        began: Instant,
        bar: &ProgressBar,
    ) -> Measured {
        let (mut measured, mut flights) = (Measured::default(), JoinSet::new());
        let pause = Duration::from_secs(1) / rate;
        let mut meant = began;
        while meant < began + self.duration {
            tokio::time::sleep_until(meant.into()).await;
            while let Some(one) = flights.try_join_next() {
                measured.take(one, bar);
            }
            if flights.len() < MOST {
                let (load, client) = (self.clone(), client.clone());
                flights.spawn(async move { load.one(&client, meant).await });
            } else {
                measured.missed += 1;
            }
            meant += pause;
        }
        while let Some(one) = flights.join_next().await {
            measured.take(one, bar);
        }
        measured
    }

    /// One task, whose time is counted from `meant`.
    async fn one(&self, client: &Client, meant: Instant) -> One {
        let id = match client.submit(&self.name, self.parameters.as_ref(), Some(self.ttl)).await {
            Ok(id) => id,
            Err(error) => {
                // A server that refuses at once is not asked ten thousand times a second.
                tokio::time::sleep(BREATH).await;
                return (None, Err(error));
            }
        };
        let took = match self.measure {
            Measure::Submission => Ok(meant.elapsed()),
            Measure::Life => self.ended(client, id).await.map(|_| meant.elapsed()),
            Measure::Lateness => self.ended(client, id).await.map(|task| lateness(&task)),
        };
        (Some(id), took)
    }

    async fn ended(&self, client: &Client, id: TaskId) -> Result<Task, ClientError> {
        client.wait(id, PATIENCE + Duration::from_millis(self.ttl.millis())).await
    }
}

/// By the server's own dates, in milliseconds as it tells them.
fn lateness(task: &Task) -> Duration {
    let late = task.end_date.zip(task.deadline).map_or(0, |(end, deadline)| end.micros_since(deadline));
    Duration::from_micros(u64::try_from(late).unwrap_or(0))
}

impl Default for Measured {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            times: Histogram::new_with_bounds(1, LONGEST, 3).expect("sound bounds"),
            refused: 0,
            errors: 0,
            last_error: None,
            missed: 0,
            took: Duration::ZERO,
        }
    }
}

impl Measured {
    fn take(&mut self, one: Result<One, JoinError>, bar: &ProgressBar) {
        let (id, took) = one.expect("a task of the load does not panic");
        self.accepted.extend(id);
        bar.set_message(format!("{} tasks", self.accepted.len()));
        match took {
            Ok(took) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
                self.times.saturating_record(micros.clamp(1, LONGEST));
            }
            Err(error) if error.problem().is_some_and(|problem| problem.status == 503) => self.refused += 1,
            Err(error) => {
                self.errors += 1;
                self.last_error = Some(telemetry::error_chain(&error));
            }
        }
    }
}
