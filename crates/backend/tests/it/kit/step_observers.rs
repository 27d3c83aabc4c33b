//! Signals that a single step inside a Backend is done, taken from its metrics and its log.
//!
//! A Backend runs on the thread of its test, so a recorder and a subscriber of that thread receive nothing of other tests.

use std::io::Write;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::Dispatch;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing_subscriber::fmt::MakeWriter;

/// The longest that a test waits for a signal.
const SIGNAL_LIMIT: Duration = Duration::from_mins(1);

/// Counts the queries by which waiting claim requests look for tasks. A request that found nothing waits from then on.
#[derive(Debug, Clone)]
pub(crate) struct ClaimQueries {
    finished: Arc<watch::Sender<u64>>,
}

impl ClaimQueries {
    /// A counter; it counts while the guard of `metrics::set_default_local_recorder` lives.
    pub(crate) fn new() -> Self {
        Self { finished: Arc::new(watch::Sender::new(0)) }
    }

    /// How many queries have finished.
    pub(crate) fn finished(&self) -> u64 {
        *self.finished.borrow()
    }

    /// Returns when more than `before` queries have finished.
    pub(crate) async fn more_than(&self, before: u64) {
        let mut finished = self.finished.subscribe();
        let signal = timeout(SIGNAL_LIMIT, finished.wait_for(|finished| *finished > before)).await;
        assert!(signal.is_ok(), "no further query for claim requests after {before} of them");
    }
}

impl HistogramFn for ClaimQueries {
    fn record(&self, _: f64) {
        self.finished.send_modify(|finished| *finished += 1);
    }
}

impl Recorder for ClaimQueries {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        let is_claim_by_type = key.labels().any(|label| label.value() == "pull");
        if key.name() == "tasker_statement_seconds" && is_claim_by_type {
            Histogram::from_arc(Arc::new(self.clone()))
        } else {
            Histogram::noop()
        }
    }
}

/// Two dispatchers that stay. As long as a process has a single one, tracing asks the dispatcher of the thread that first
/// reaches a log statement whether anybody wants it, and remembers a no for all threads.
static OTHER_DISPATCHERS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(NoSubscriber::default())));

/// The log of the Backends of one test, as text.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogCapture {
    written: Arc<watch::Sender<String>>,
}

impl LogCapture {
    /// Captures what the filter `directives` lets through, as long as the guard lives.
    pub(crate) fn install(&self, directives: &str) -> DefaultGuard {
        LazyLock::force(&OTHER_DISPATCHERS);
        let log = tracing_subscriber::fmt().with_writer(self.clone()).with_ansi(false);
        tracing::subscriber::set_default(log.with_env_filter(directives).finish())
    }

    /// Everything that was logged.
    pub(crate) fn text(&self) -> String {
        self.written.borrow().clone()
    }

    /// The lines that contain `part`.
    pub(crate) fn lines_with(&self, part: &str) -> Vec<String> {
        self.written.borrow().lines().filter(|line| line.contains(part)).map(str::to_owned).collect()
    }

    /// Returns when a request waits for the end of the task `id`; wants the directive `backend=trace`.
    pub(crate) async fn request_waits_for_end_of(&self, id: &str) {
        self.line_with(&["waits for the end of its task", id], 1).await;
    }

    /// Returns when `times` heartbeats of `worker` have been held; wants the directive `backend=trace`.
    pub(crate) async fn heartbeats_are_held(&self, worker: &str, times: usize) {
        self.line_with(&[&format!("a heartbeat of worker {worker} is held")], times).await;
    }

    /// Returns when there are `times` lines that contain all of these parts.
    async fn line_with(&self, parts: &[&str], times: usize) {
        let is_match = |line: &&str| parts.iter().all(|part| line.contains(part));
        let mut written = self.written.subscribe();
        let found = written.wait_for(|text| text.lines().filter(is_match).count() >= times);
        assert!(timeout(SIGNAL_LIMIT, found).await.is_ok(), "no line with {parts:?}");
    }
}

impl Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.written.send_modify(|text| text.push_str(std::str::from_utf8(bytes).unwrap()));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogCapture {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
