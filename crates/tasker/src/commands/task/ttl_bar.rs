//! The progress bar of a task's time to live, on a terminal only.

use std::pin::pin;
use std::time::{Duration, Instant};

use domain::{Progress, Task, TaskId, Timestamp};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::commands::task::view::progress_text;

/// The period in which the progress bar is drawn.
const FRAME_PERIOD: Duration = Duration::from_millis(100);

/// The progress bar. It is cleared when dropped.
pub struct TtlBar {
    bar: ProgressBar,
    /// The start that is shown; `None` while the task waits for its time or for a worker.
    start: Option<Timestamp>,
    /// The instant that is shown of a task that has not started: it starts no sooner.
    not_before: Option<Timestamp>,
    /// When the task started, by the clock of this machine.
    started: Instant,
    ttl: Duration,
    progress: Option<Progress>,
}

impl TtlBar {
    /// The bar of a task that is not known to have started.
    pub fn of(id: TaskId) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_prefix(id.to_string());
        let bar = Self {
            bar,
            start: None,
            not_before: None,
            started: Instant::now(),
            ttl: Duration::ZERO,
            progress: None,
        };
        bar.show_waiting();
        bar
    }

    /// Whether standard error is a terminal.
    pub fn is_visible(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Whether the time of a started task is shown.
    pub fn shows_start(&self) -> bool {
        self.start.is_some()
    }

    /// Whether the bar shows the task as it is.
    pub fn follows(&self, task: &Task) -> bool {
        (self.start, self.not_before, &self.progress) == (task.start_date, task.not_before, &task.progress)
    }

    /// Shows the time of a task that started `elapsed` ago, or that it waits for a worker, for the first time or again.
    pub fn follow(&mut self, task: &Task, elapsed: Duration) {
        (self.start, self.not_before) = (task.start_date, task.not_before);
        self.progress.clone_from(&task.progress);
        self.ttl = Duration::from_millis(task.ttl.millis());
        self.started = Instant::now().checked_sub(elapsed).unwrap_or_else(Instant::now);
        if self.start.is_some() {
            self.bar.set_length(task.ttl.millis());
            self.bar.set_style(style("{prefix}  ▕{wide_bar}▏ {msg}"));
        } else {
            self.show_waiting();
        }
        self.draw();
    }

    fn show_waiting(&self) {
        self.bar.set_style(style("{prefix}  {msg}  {elapsed}"));
        self.bar.set_message(match self.not_before {
            Some(date) => format!("waiting for a worker, not before {date}"),
            None => "waiting for a worker".to_owned(),
        });
    }

    fn draw(&self) {
        if self.shows_start() {
            let elapsed = self.started.elapsed().min(self.ttl);
            self.bar.set_position(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX));
            let time = format!("{:.1} of {} s", elapsed.as_secs_f64(), self.ttl.as_secs_f64());
            let progress = self.progress.as_ref().map(|progress| format!("  {}", progress_text(progress)));
            self.bar.set_message(time + &progress.unwrap_or_default());
        }
        self.bar.tick();
    }

    /// Draws the bar periodically until `work` ends.
    pub async fn draw_while<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut frames = tokio::time::interval(FRAME_PERIOD);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = frames.tick() => self.draw(),
            }
        }
    }
}

impl Drop for TtlBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a valid template").progress_chars("█▉▊▋▌▍▎▏ ")
}
