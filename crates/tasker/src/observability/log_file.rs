//! The log file, which is rotated by size or time.
//!
//! Written here, and not taken from crates such as `tracing-appender`, because Tasker promises (docs/logs.md) to reopen the
//! file on SIGHUP, to rotate it by size, and to report how many lines were dropped.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use database::ProcessClock;
use domain::Timestamp;
use telemetry::Outage;

use crate::config::values::Rotate;
use crate::observability::log_writer::{LogOutput, MAX_BUFFER_BYTES};
use crate::terminal;

/// The open file and its rotation.
pub struct RotatingFile {
    path: PathBuf,
    rotate: Rotate,
    /// How many rotated files are kept.
    kept_files: u32,
    file: File,
    /// Lines that are not written yet.
    buffer: Vec<u8>,
    /// The size of `file` and `buffer`, in bytes.
    size: u64,
    /// The hour or day of the lines in `file`, as [`Rotate::period`] counts.
    period: i64,
    /// Failures to write, so that standard error reports each cause once.
    outage: Outage,
}

impl LogOutput for RotatingFile {
    fn write_line(&mut self, line: &[u8]) {
        let result = self.rotate_and_append(line);
        self.report(result);
    }

    fn flush(&mut self) {
        let result = self.write_buffer();
        self.report(result);
    }

    fn reopen(&mut self) {
        let result = self.write_buffer().and_then(|()| self.open_path());
        self.report(result);
    }
}

impl RotatingFile {
    /// Opens the file at `path` for appending. The latest `kept_files` rotated files are kept.
    pub fn open(path: &Path, rotate: Rotate, kept_files: u32) -> io::Result<Self> {
        let file = append_to(path)?;
        let (size, now) = (file.metadata()?.len(), now());
        // Lines that are already in the file may be of an earlier day or hour: that of the last write.
        let modified = file.metadata()?.modified().ok().filter(|_| size > 0);
        let modified = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let modified = modified.and_then(|at| i64::try_from(at.as_micros()).ok()).map_or(now, Timestamp);
        let period = rotate.period(modified);
        let outage = Outage::default();
        let (path, buffer) = (path.to_owned(), Vec::new());
        Ok(Self { path, rotate, kept_files, file, buffer, size, period, outage })
    }

    /// Reports a failure on standard error, since the log itself cannot: each cause once until a write succeeds.
    fn report(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) => {
                self.outage.record_success();
            }
            Err(error) => {
                let cause = error.to_string();
                if self.outage.record_failure(&cause) {
                    terminal::print_note(&format!("the log file {}: {cause}", self.path.display()));
                }
            }
        }
    }

    fn rotate_and_append(&mut self, line: &[u8]) -> io::Result<()> {
        let period = self.rotate.period(now());
        let length = u64::try_from(line.len()).unwrap_or(u64::MAX);
        let is_full = self.rotate.is_full(self.size.saturating_add(length)) && self.size > 0;
        let rotated = if is_full || period != self.period { self.rotate() } else { Ok(()) };
        // A file that cannot be rotated is written on, and the next line tries to rotate it again.
        if rotated.is_ok() {
            self.period = period;
        }
        self.buffer.extend_from_slice(line);
        self.size = self.size.saturating_add(length);
        if self.buffer.len() >= MAX_BUFFER_BYTES {
            self.write_buffer()?;
        }
        rotated.map_err(with_context("it cannot be rotated, so the current file grows on"))
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let written = self.file.write_all(&self.buffer).map_err(with_context("it cannot be written"));
        self.buffer.clear();
        written
    }

    /// Renames `tasker.log` to `tasker.log.1`, that to `tasker.log.2` and so on; the oldest is overwritten.
    fn rotate(&mut self) -> io::Result<()> {
        self.write_buffer()?;
        if !self.path.exists() {
            return self.open_path();
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
        self.open_path()
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        name.into()
    }

    fn open_path(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path).map_err(with_context("it cannot be opened"))?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }
}

/// Opens a file for appending; a new one has the mode 0600, so that others cannot read who did what.
fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

/// An error with a sentence before it that says what failed.
fn with_context(what: &str) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn now() -> Timestamp {
    Timestamp(ProcessClock::System.now())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observability::log_writer::LogWriter;

    /// A log in a directory of its own, written and closed.
    fn written(rotate: &str, kept_files: u32, lines: &[&str]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let mut log = open(&home.path().join("log"), rotate, kept_files);
        for line in lines {
            log.write_all(line.as_bytes()).unwrap();
        }
        log.close();
        home
    }

    fn open(path: &Path, rotate: &str, kept_files: u32) -> LogWriter {
        let rotate = rotate.to_owned().try_into().unwrap();
        LogWriter::start(RotatingFile::open(path, rotate, kept_files).unwrap()).unwrap()
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
        let log = || open(&path, "10B", 1);
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
        let mut log = open(&path, "daily", 7);
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
        let mut log = open(&path, "never", 7);
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write_all(b"after\n").unwrap();
        log.close();
        assert_eq!(text(&home, "log").as_deref(), Some("after\n"));
    }
}
