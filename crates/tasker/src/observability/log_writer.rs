//! The queue of the log's lines and the thread that writes them, so that no service waits for the disk or for the reader of
//! standard error.

use std::io::{self, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait to be written. Further lines are dropped and counted, and the log says how many.
const QUEUE_CAPACITY_LINES: usize = 10_000;

/// The size at which buffered lines are written although more lines wait.
pub const MAX_BUFFER_BYTES: usize = 64 << 10;

/// Where the writer thread writes to.
pub trait LogOutput: Send + 'static {
    /// Writes or buffers a line, which ends with a newline.
    fn write_line(&mut self, line: &[u8]);
    /// Writes what is buffered.
    fn flush(&mut self);
    /// Opens the output again, because another program has moved its file away.
    fn reopen(&mut self);
}

/// Queues lines for the writer thread. A clone writes to the same output.
#[derive(Clone)]
pub struct LogWriter(Arc<Inner>);

struct Inner {
    /// The queue to the writer thread; `None` after [`LogWriter::close`].
    commands: Mutex<Option<SyncSender<Command>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Lines dropped since the writer thread last reported them.
    dropped: Arc<AtomicU64>,
}

/// What the writer thread is asked to do.
enum Command {
    Line(Vec<u8>),
    Reopen,
}

impl LogWriter {
    /// Starts the thread that writes to `output`.
    pub fn start(output: impl LogOutput) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(QUEUE_CAPACITY_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        let thread = thread::Builder::new()
            .name("tasker-log".to_owned())
            .spawn(move || write_all(output, &receiver, &counter))?;
        let (commands, thread) = (Mutex::new(Some(sender)), Mutex::new(Some(thread)));
        Ok(Self(Arc::new(Inner { commands, thread, dropped })))
    }

    /// Opens the output again, after another program has moved its file away.
    pub fn reopen(&self) {
        self.send(Command::Reopen);
    }

    /// Writes all queued lines and stops the writer thread. Later lines are ignored.
    pub fn close(&self) {
        drop(self.0.commands.lock().take());
        if let Some(thread) = self.0.thread.lock().take() {
            // If the writer thread has panicked, its queue is closed, and nobody can be told.
            let _ = thread.join();
        }
    }

    fn send(&self, command: Command) {
        let commands = self.0.commands.lock();
        if let Some(Err(TrySendError::Full(_))) = commands.as_ref().map(|commands| commands.try_send(command))
        {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for LogWriter {
    /// Queues a line. `tracing-subscriber` passes each line in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.send(Command::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The writer thread: runs until the queue is closed. Lines that wait together are written together.
fn write_all(mut output: impl LogOutput, commands: &Receiver<Command>, dropped: &AtomicU64) {
    while let Ok(command) = commands.recv() {
        let mut next = Some(command);
        while let Some(command) = next {
            match command {
                Command::Line(line) => {
                    let dropped = dropped.swap(0, Ordering::Relaxed);
                    if dropped > 0 {
                        let text =
                            format!("{dropped} lines were dropped: they could not be written fast enough\n");
                        output.write_line(text.as_bytes());
                    }
                    output.write_line(&line);
                }
                Command::Reopen => output.reopen(),
            }
            next = commands.try_recv().ok();
        }
        output.flush();
    }
}

/// Standard error as the output of the log. A failure to write to it cannot be reported anywhere, so it is ignored.
#[derive(Default)]
pub struct StandardError {
    buffer: Vec<u8>,
}

impl LogOutput for StandardError {
    fn write_line(&mut self, line: &[u8]) {
        self.buffer.extend_from_slice(line);
        if self.buffer.len() >= MAX_BUFFER_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let _ = stderr().write_all(&self.buffer);
        self.buffer.clear();
    }

    fn reopen(&mut self) {}
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// An output that waits for a permit before each line and passes the lines on.
    struct Gated {
        permits: Receiver<()>,
        lines: Sender<String>,
    }

    impl LogOutput for Gated {
        fn write_line(&mut self, line: &[u8]) {
            let _ = self.permits.recv();
            self.lines.send(String::from_utf8_lossy(line).into_owned()).unwrap();
        }

        fn flush(&mut self) {}

        fn reopen(&mut self) {}
    }

    #[test]
    fn a_slow_output_costs_lines_and_stops_nobody() {
        let (permit, permits) = channel();
        let (lines, written) = channel();
        let mut writer = LogWriter::start(Gated { permits, lines }).unwrap();
        // The thread holds one line at the most, the queue the others; nobody has permitted any yet.
        for number in 0..QUEUE_CAPACITY_LINES + 1 + 7 {
            writer.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(permit);
        writer.close();
        let written: Vec<String> = written.into_iter().collect();
        let dropped: Vec<usize> = (written.iter())
            .filter_map(|line| {
                line.strip_suffix(" lines were dropped: they could not be written fast enough\n")
            })
            .map(|count| count.parse().unwrap())
            .collect();
        let lines = written.len() - dropped.len();
        assert_eq!(lines + dropped.iter().sum::<usize>(), QUEUE_CAPACITY_LINES + 8);
        assert!(dropped.iter().sum::<usize>() >= 7, "{dropped:?}");
    }
}
