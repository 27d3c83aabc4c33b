//! Splits what is read from a pipe into lines.

use std::mem;

/// Bytes that were read, up to the end of the last complete line.
#[derive(Debug, Default)]
pub(crate) struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the search for the next line's end goes on.
    searched: usize,
}

impl LineBuffer {
    /// Adds what was read.
    pub(crate) fn add(&mut self, read: &[u8]) {
        self.bytes.extend_from_slice(read);
    }

    /// The next complete line, without its end.
    pub(crate) fn next_line(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') else {
            self.searched = self.bytes.len();
            return None;
        };
        let rest = self.bytes.split_off(self.searched + end + 1);
        let mut line = mem::replace(&mut self.bytes, rest);
        line.pop();
        self.searched = 0;
        Some(line)
    }

    /// What follows the last complete line.
    pub(crate) fn take_rest(&mut self) -> Vec<u8> {
        self.searched = 0;
        mem::take(&mut self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_split_wherever_they_were_cut() {
        let mut lines = LineBuffer::default();
        lines.add(b"on");
        assert_eq!(lines.next_line(), None);
        lines.add(b"e\n\ntwo\nthr");
        assert_eq!(lines.next_line().as_deref(), Some(&b"one"[..]));
        assert_eq!(lines.next_line().as_deref(), Some(&b""[..]));
        assert_eq!(lines.next_line().as_deref(), Some(&b"two"[..]));
        assert_eq!(lines.next_line(), None);
        assert_eq!(lines.take_rest(), b"thr");
    }
}
