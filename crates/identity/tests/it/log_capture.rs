//! The log of one test: what is logged on its thread, at every level.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::Once;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The targets whose lines are captured. The HTTP client of the tests is in this process too, and hyper logs every header at
/// `trace`.
const TARGETS: &str =
    "audit=trace,identity=trace,database=trace,web=trace,sqlx=trace,axum=trace,tower_http=trace";

thread_local! {
    static LINES: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Captures the log of the current thread until it is dropped; the runtime of a `tokio::test` has no other thread.
///
/// The subscriber is global: one that is set for a thread only misses lines whose call site another thread, without a subscriber,
/// registers at the same moment.
pub(crate) struct LogCapture(());

impl LogCapture {
    pub(crate) fn start() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let filter = EnvFilter::new(TARGETS);
            let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false);
            builder.with_writer(ThreadWriter).init();
        });
        LINES.set(Some(Vec::new()));
        Self(())
    }

    /// What was logged so far.
    pub(crate) fn text(&self) -> String {
        let Self(()) = self;
        LINES.with_borrow(|lines| String::from_utf8(lines.clone().unwrap_or_default()).unwrap())
    }
}

impl Drop for LogCapture {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

struct ThreadWriter;

impl Write for ThreadWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for ThreadWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}
