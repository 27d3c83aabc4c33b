//! The log's file: written by a thread of its own, so that no disk holds anybody up, and begun anew by size or by age.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use database::Clock;
use domain::Timestamp;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::Rotate;
use crate::terminal;

/// How many lines may wait for the disk. What comes beyond them is dropped, counted, and told of in the file.
const WAITING: usize = 10_000;

/// Takes lines for the file. Clones are one.
#[derive(Clone)]
pub struct LogFile(Arc<Inner>);

struct Inner {
    /// Gone once the process ends.
    orders: Mutex<Option<SyncSender<Command>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    dropped: Arc<AtomicU64>,
}

enum Command {
    Line(Vec<u8>),
    /// Somebody has moved the file away.
    OpenAnew,
}

/// The file and its predecessors.
struct Files {
    path: PathBuf,
    rotate: Rotate,
    keep: u32,
    file: File,
    bytes: u64,
    /// The day or the hour of its lines.
    period: i64,
    /// It could not be written, and that was said.
    is_broken: bool,
}

impl LogFile {
    /// Appends to the file at `path`, of which `keep` predecessors are kept.
    pub fn open(path: &Path, rotate: Rotate, keep: u32) -> io::Result<Self> {
        let files = Files::open(path, rotate, keep)?;
        let (orders, inbox) = sync_channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let counted = dropped.clone();
        let writer = thread::Builder::new()
            .name("tasker-log".to_owned())
            .spawn(move || files.write(&inbox, &counted))?;
        let (orders, writer) = (Mutex::new(Some(orders)), Mutex::new(Some(writer)));
        Ok(Self(Arc::new(Inner { orders, writer, dropped })))
    }

    /// Opens the path again: whoever moved the file away gets a new one.
    pub fn reopen(&self) {
        self.send(Command::OpenAnew);
    }

    /// Writes what waits. Nothing is written after that.
    pub fn close(&self) {
        drop(self.0.orders.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(writer) = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // A panic of the writer has been printed.
            let _ = writer.join();
        }
    }

    fn send(&self, order: Command) {
        let orders = self.0.orders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(TrySendError::Full(_))) = orders.as_ref().map(|orders| orders.try_send(order)) {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Write for LogFile {
    /// A whole line: so the log writes them.
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

impl Files {
    fn open(path: &Path, rotate: Rotate, keep: u32) -> io::Result<Self> {
        let file = append_to(path)?;
        let (bytes, now) = (file.metadata()?.len(), now());
        // The lines that are in it already may be of an earlier day.
        let written = file.metadata()?.modified().ok().filter(|_| bytes > 0);
        let written = written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let written = written.and_then(|at| i64::try_from(at.as_micros()).ok()).map_or(now, Timestamp);
        let period = rotate.period(written);
        Ok(Self { path: path.to_owned(), rotate, keep, file, bytes, period, is_broken: false })
    }

    fn write(mut self, inbox: &Receiver<Command>, dropped: &AtomicU64) {
        for order in inbox {
            let done = match order {
                Command::Line(line) => self.line(&line, dropped.swap(0, Ordering::Relaxed)),
                Command::OpenAnew => self.reopen(),
            };
            // The log cannot say it of itself.
            match done {
                Ok(()) => self.is_broken = false,
                Err(error) if !self.is_broken => {
                    self.is_broken = true;
                    terminal::note(&format!("the log file {}: {error}", self.path.display()));
                }
                Err(_) => {}
            }
        }
    }

    fn line(&mut self, line: &[u8], dropped: u64) -> io::Result<()> {
        let period = self.rotate.period(now());
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let is_full = self.rotate.is_full(self.bytes.saturating_add(length)) && self.bytes > 0;
        let turned = if is_full || period != self.period { self.rotate() } else { Ok(()) };
        // What cannot be begun anew goes on, and is tried again with the next line.
        if turned.is_ok() {
            self.period = period;
        }
        if dropped > 0 {
            self.put(format!("{dropped} lines were dropped: the disk was too slow\n").as_bytes())?;
        }
        self.put(line)?;
        turned.map_err(saying("it cannot be begun anew, and goes on"))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes).map_err(saying("it cannot be written"))?;
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// `tasker.log` becomes `tasker.log.1`, that becomes `tasker.log.2`; the oldest goes.
    fn rotate(&mut self) -> io::Result<()> {
        if !self.path.exists() {
            return self.reopen();
        }
        for number in (0..self.keep).rev() {
            match std::fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        if self.keep == 0 {
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
        self.file = append_to(&self.path).map_err(saying("it cannot be written"))?;
        self.bytes = self.file.metadata()?.len();
        Ok(())
    }
}

/// Others need not read who did what.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// The error as the cause of what it kept from being done.
fn saying(what: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn now() -> Timestamp {
    Timestamp(Clock::System.now())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log in a directory of its own, written and closed.
    fn written(rotate: &str, keep: u32, lines: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let mut log =
            LogFile::open(&home.path().join("log"), rotate.to_owned().try_into().unwrap(), keep).unwrap();
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
    fn a_full_file_makes_room_and_the_oldest_goes() {
        let home = written("10B", 2, &["one 56789\n", "two\n", "three\n", "four 6789\n", "five 67890\n"]);
        assert_eq!(text(&home, "log").as_deref(), Some("five 67890\n"), "no line is torn, however long");
        assert_eq!(text(&home, "log.1").as_deref(), Some("four 6789\n"));
        assert_eq!(text(&home, "log.2").as_deref(), Some("two\nthree\n"));
        assert_eq!(text(&home, "log.3"), None);
        let home = written("10B", 0, &["one 56789\n", "two\n"]);
        assert_eq!((text(&home, "log").as_deref(), text(&home, "log.1")), (Some("two\n"), None));
    }

    #[test]
    fn what_cannot_be_begun_anew_goes_on_and_makes_room_once_it_can() {
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
    fn lines_of_an_earlier_day_lie_in_a_file_of_their_own() {
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
    fn a_file_that_somebody_moved_away_is_made_anew() {
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
