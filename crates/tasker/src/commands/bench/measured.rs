//! What a load has measured, task by task.

use std::time::Duration;

use client::ClientError;
use domain::TaskId;
use hdrhistogram::Histogram;

/// The largest recorded duration in microseconds: an hour.
const MAX_DURATION_MICROS: u64 = 3_600_000_000;

/// Significant decimal digits of a recorded duration.
const DURATION_DIGITS: u8 = 3;

/// What is measured of one task.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The duration that the benchmark is about.
    pub duration: Duration,
    /// When the work of the task has stopped.
    pub stop: WorkStop,
}

/// When the work of a task has stopped.
#[derive(Debug, Clone, Copy)]
pub enum WorkStop {
    /// The benchmark does not ask.
    NotMeasured,
    /// So long after the deadline, or after the request to cancel the task.
    After(Duration),
    /// The server was not told that it has.
    Unknown,
}

/// The id of one task, if it was accepted, and what was measured; nothing of a task that ended in another way than it was to.
pub type TaskOutcome = (Option<TaskId>, Result<Option<Sample>, ClientError>);

/// The results of a load.
pub struct Measured {
    /// The ids of accepted tasks.
    pub accepted: Vec<TaskId>,
    /// The measured durations, in microseconds.
    pub durations: Histogram<u64>,
    /// How long after the deadline or the request the work of tasks has stopped, in microseconds.
    pub stops: Histogram<u64>,
    /// Tasks of which the server was not told that their work has stopped.
    pub unknown_stops: u64,
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

impl Default for Measured {
    fn default() -> Self {
        Self {
            accepted: Vec::new(),
            durations: new_histogram(),
            stops: new_histogram(),
            unknown_stops: 0,
            refused: 0,
            errors: 0,
            last_error: None,
            missed: 0,
            took: Duration::ZERO,
        }
    }
}

impl Measured {
    /// Adds what was measured of one task.
    pub fn add(&mut self, (id, sample): TaskOutcome) {
        self.accepted.extend(id);
        match sample {
            Ok(None) => {}
            Ok(Some(Sample { duration, stop })) => {
                record(&mut self.durations, duration);
                match stop {
                    WorkStop::NotMeasured => {}
                    WorkStop::After(duration) => record(&mut self.stops, duration),
                    WorkStop::Unknown => self.unknown_stops += 1,
                }
            }
            Err(error) if error.problem().is_some_and(|problem| problem.status == 503) => self.refused += 1,
            Err(error) => {
                self.errors += 1;
                self.last_error = Some(telemetry::error_chain(&error));
            }
        }
    }
}

/// A histogram of durations in microseconds.
pub fn new_histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, MAX_DURATION_MICROS, DURATION_DIGITS).expect("valid bounds")
}

/// Records a duration; one beyond the bounds counts as the bound.
pub fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(MAX_DURATION_MICROS);
    histogram.saturating_record(micros.clamp(1, MAX_DURATION_MICROS));
}
