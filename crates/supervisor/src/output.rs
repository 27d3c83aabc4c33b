//! What a program writes to its standard output and its standard error, bounded.

use std::io::{ErrorKind, PipeReader, Read};

use rustix::io::ioctl_fionbio;

use crate::line_buffer::LineBuffer;

/// The most that is read before other events get their turn.
const CHUNK_BYTES: usize = 16 << 10;

/// How far a read has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadProgress {
    /// There was something to read.
    Some,
    /// There is nothing to read at the moment.
    Nothing,
    /// No process can write any more.
    End,
}

/// A pipe that is read without waiting.
#[derive(Debug)]
pub(crate) struct OutputPipe {
    pub(crate) pipe: PipeReader,
    pub(crate) is_at_end: bool,
}

impl OutputPipe {
    /// Reads from `pipe`.
    pub(crate) fn new(pipe: PipeReader) -> rustix::io::Result<Self> {
        ioctl_fionbio(&pipe, true)?;
        Ok(Self { pipe, is_at_end: false })
    }

    /// Reads once and gives what was read to `take`.
    pub(crate) fn read(&mut self, take: impl FnOnce(&[u8])) -> ReadProgress {
        let mut chunk = [0; CHUNK_BYTES];
        let progress = match self.pipe.read(&mut chunk) {
            Ok(0) => ReadProgress::End,
            Ok(read) => {
                take(&chunk[..read]);
                ReadProgress::Some
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => ReadProgress::Some,
            Err(error) if error.kind() == ErrorKind::WouldBlock => ReadProgress::Nothing,
            Err(_) => ReadProgress::End,
        };
        self.is_at_end |= progress == ReadProgress::End;
        progress
    }
}

/// The standard output of a program, up to a number of bytes.
#[derive(Debug)]
pub(crate) struct StandardOutput {
    lines: LineBuffer,
    left: u64,
    /// Whether the program has written more than it may.
    pub(crate) is_exceeded: bool,
}

impl StandardOutput {
    /// At most `bytes` are kept.
    pub(crate) fn limited_to(bytes: u64) -> Self {
        Self { lines: LineBuffer::default(), left: bytes, is_exceeded: false }
    }

    /// Adds what the program has written.
    pub(crate) fn add(&mut self, written: &[u8]) {
        let length = written.len() as u64;
        let kept = usize::try_from(self.left.min(length)).unwrap_or(written.len());
        self.lines.add(&written[..kept]);
        self.left -= kept as u64;
        self.is_exceeded |= kept < written.len();
    }

    /// The next complete line; what is not UTF-8 is replaced.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        Some(String::from_utf8_lossy(&self.lines.next_line()?).into_owned())
    }

    /// Everything that was not returned as a line; `None` if it is not UTF-8.
    pub(crate) fn take_rest(&mut self) -> Option<String> {
        String::from_utf8(self.lines.take_rest()).ok()
    }
}

/// The last bytes that were written.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    most: usize,
}

impl Tail {
    /// Keeps the last `most` bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), most }
    }

    /// Adds what was written.
    pub(crate) fn add(&mut self, written: &[u8]) {
        self.bytes.extend_from_slice(written);
        let surplus = self.bytes.len().saturating_sub(self.most);
        self.bytes.drain(..surplus);
    }

    /// The bytes as text; what is not UTF-8 is replaced.
    pub(crate) fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_holds_the_last_bytes() {
        let mut tail = Tail::new(4);
        tail.add(b"abc");
        tail.add(b"def");
        assert_eq!(tail.to_text(), "cdef");
    }

    #[test]
    fn what_exceeds_the_limit_is_dropped_and_noticed() {
        let mut output = StandardOutput::limited_to(5);
        output.add(b"ab\ncd");
        assert!(!output.is_exceeded);
        output.add(b"e");
        assert!(output.is_exceeded);
        assert_eq!(output.next_line().as_deref(), Some("ab"));
        assert_eq!(output.take_rest().as_deref(), Some("cd"));
    }
}
