//! The log file: lines are queued and written by a thread of its own; the file is rotated by size or time.
//!
//! Written here, and not taken from crates such as `tracing-appender`, because Tasker promises (docs/logs.md) to reopen the
//! file on SIGHUP, to rotate it by size, to report in the file how many lines were dropped, and never to wait for the disk.

use parking_lot::Mutex;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

use database::Clock;
use domain::Timestamp;
use telemetry::Outage;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::values::Rotate;
use crate::terminal;

/// How many lines may wait for the disk. Further lines are dropped and counted, and the count is written to the file.
const QUEUE_CAPACITY_LINES: usize = 10_000;

/// Queues lines for the log file. A clone writes to the same file.
#[derive(Clone)]
pub struct LogFile(Arc<Inner>);

struct Inner {
    /// The queue to the writer thread; `None` after [`LogFile::close`].
    commands: Mutex<Option<SyncSender<Command>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Lines dropped since the writer thread last reported them.
    dropped: Arc<AtomicU64>,
}

/// What the writer thread is asked to do.
enum Command {
    /// Write a line.
    Line(Vec<u8>),
    /// Open the path again, because another program has moved the file away.
    Reopen,
}

/// The open file and its rotation; owned by the writer thread.
struct RotatingFile {
    path: PathBuf,
    rotate: Rotate,
    /// How many rotated files are kept.
    kept_files: u32,
    file: File,
    /// The size of `file`, in bytes.
    size: u64,
    /// The hour or day of the lines in `file`, as [`Rotate::period`] counts.
    period: i64,
    /// Failures to write, so that standard error reports each cause once.
    outage: Outage,
}

impl LogFile {
    /// Opens the file at `path` for appending and starts the writer thread. The latest `kept_files` rotated files are kept.
    pub fn open(path: &Path, rotate: Rotate, kept_files: u32) -> io::Result<Self> {
        let file = RotatingFile::open(path, rotate, kept_files)?;
        let (sender, receiver) = sync_channel(QUEUE_CAPACITY_LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        let writer = thread::Builder::new()
            .name("tasker-log".to_owned())
            .spawn(move || file.write_all_commands(&receiver, &counter))?;
        let (commands, writer) = (Mutex::new(Some(sender)), Mutex::new(Some(writer)));
        Ok(Self(Arc::new(Inner { commands, writer, dropped })))
    }

    /// Opens the path again, after another program has moved the file away.
    pub fn reopen(&self) {
        self.send(Command::Reopen);
    }

    /// Writes all queued lines and stops the writer thread. Later lines are ignored.
    pub fn close(&self) {
        drop(self.0.commands.lock().take());
        if let Some(writer) = self.0.writer.lock().take() {
            // If the writer thread has panicked, the panic hook has printed it.
            let _ = writer.join();
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

impl Write for LogFile {
    /// Queues a line. `tracing-subscriber` passes each line in one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.send(Command::Line(line.to_vec()));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl RotatingFile {
    fn open(path: &Path, rotate: Rotate, kept_files: u32) -> io::Result<Self> {
        let file = append_to(path)?;
        let (size, now) = (file.metadata()?.len(), now());
        // Lines that are already in the file may be of an earlier day or hour: that of the last write.
        let modified = file.metadata()?.modified().ok().filter(|_| size > 0);
        let modified = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = modified.and_then(|at| i64::try_from(at.as_micros()).ok()).map_or(now, Timestamp);
        let period = rotate.period(modified);
        let outage = Outage::default();
        Ok(Self { path: path.to_owned(), rotate, kept_files, file, size, period, outage })
    }

    /// Runs until the queue is closed.
    fn write_all_commands(mut self, commands: &Receiver<Command>, dropped: &AtomicU64) {
        for command in commands {
            let result = match command {
                Command::Line(line) => self.write_line(&line, dropped.swap(0, Ordering::Relaxed)),
                Command::Reopen => self.reopen(),
            };
            self.report(result);
        }
    }

    /// Reports a failure on standard error, since the log itself cannot: each cause once until a write succeeds.
    fn report(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => {
                self.outage.recovered();
            }
            Err(error) => {
                let cause = error.to_string();
                if self.outage.failed(&cause) {
                    terminal::print_note(&format!("the log file {}: {cause}", self.path.display()));
                }
            }
        }
    }

    fn write_line(&mut self, line: &[u8], dropped: u64) -> io::Result<()> {
        let period = self.rotate.period(now());
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let is_full = self.rotate.is_full(self.size.saturating_add(length)) && self.size > 0;
        let rotated = if is_full || period != self.period { self.rotate() } else { Ok(()) };
        // A file that cannot be rotated is written on, and the next line tries to rotate it again.
        if rotated.is_ok() {
            self.period = period;
        }
        if dropped > 0 {
            self.append(format!("{dropped} lines were dropped: the disk was too slow\n").as_bytes())?;
        }
        self.append(line)?;
        rotated.map_err(with_context("it cannot be rotated, and is written on"))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(with_context("it cannot be written"))?;
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Renames `tasker.log` to `tasker.log.1`, that to `tasker.log.2` and so on; the oldest is overwritten.
    fn rotate(&mut self) -> io::Result<()> {
        if !self.path.exists() {
            return self.reopen();
        }
        for number in (0..self.kept_files).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.kept_files == 0 {
            std::fs::remove_file(&self.path)?;
        }
        self.reopen()
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path).map_err(with_context("it cannot be opened"))?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }
}

/// Opens a file for appending; a new one has the mode 0640, so that others cannot read who did what.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// An error with a sentence before it that says what failed.
fn with_context(what: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn now() -> Timestamp {
    Timestamp(Clock::System.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log in a directory of its own, written and closed.
    fn written(rotate: &str, kept_files: u32, lines: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let mut log =
            LogFile::open(&home.path().join("log"), rotate.to_owned().try_into().unwrap(), kept_files)
                .unwrap();
        for line in lines {
            log.write_all(line.as_bytes()).unwrap();
        }
        log.close();
        home
    }

    fn text(home: &tempfile::TempDir, name: &str) -> Option<String> {
        std::fs::read_to_string(home.path().join(name)).ok()
    }

    #[test]
    fn a_full_file_is_rotated_and_the_oldest_is_removed() {
        let home = written("10B", 2, &["one 56789\n", "two\n", "three\n", "four 6789\n", "five 67890\n"]);
        assert_eq!(
            text(&home, "log").as_deref(),
            Some("five 67890\n"),
            "a line is never split, however long"
        );
        assert_eq!(text(&home, "log.1").as_deref(), Some("four 6789\n"));
        assert_eq!(text(&home, "log.2").as_deref(), Some("two\nthree\n"));
        assert_eq!(text(&home, "log.3"), None);
        let home = written("10B", 0, &["one 56789\n", "two\n"]);
        assert_eq!((text(&home, "log").as_deref(), text(&home, "log.1")), (Some("two\n"), None));
    }

    #[test]
    fn a_file_that_cannot_be_rotated_is_written_on_and_rotated_later() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let log = || LogFile::open(&path, "10B".to_owned().try_into().unwrap(), 1).unwrap();
        std::fs::create_dir(home.path().join("log.1")).unwrap();
        let mut stuck = log();
        for line in ["one 56789\n", "two\n", "three\n"] {
            stuck.write_all(line.as_bytes()).unwrap();
        }
        stuck.close();
        assert_eq!(text(&home, "log").as_deref(), Some("one 56789\ntwo\nthree\n"));
        std::fs::remove_dir(home.path().join("log.1")).unwrap();
        let mut free = log();
        free.write_all(b"four\n").unwrap();
        free.close();
        assert_eq!(text(&home, "log").as_deref(), Some("four\n"));
    }

    #[test]
    fn lines_of_an_earlier_day_are_rotated_away() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        std::fs::write(&path, "of old\n").unwrap();
        let before = std::time::UNIX_EPOCH + std::time::Duration::from_hours(1);
        File::options().append(true).open(&path).unwrap().set_modified(before).unwrap();
        let mut log = LogFile::open(&path, "daily".to_owned().try_into().unwrap(), 7).unwrap();
        log.write_all(b"of today\n").unwrap();
        log.write_all(b"of today too\n").unwrap();
        log.close();
        assert_eq!(text(&home, "log").as_deref(), Some("of today\nof today too\n"));
        assert_eq!(text(&home, "log.1").as_deref(), Some("of old\n"));
    }

    #[test]
    fn a_file_that_was_moved_away_is_created_again() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("log");
        let moved = home.path().join("moved");
        let mut log = LogFile::open(&path, "never".to_owned().try_into().unwrap(), 7).unwrap();
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write_all(b"after\n").unwrap();
        log.close();
        assert_eq!(text(&home, "log").as_deref(), Some("after\n"));
    }
}
