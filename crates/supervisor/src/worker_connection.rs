//! The supervisor's connection to its worker: requests come by the standard input, events leave by the standard output.

use std::io::{self, ErrorKind, Stdin, Stdout};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::ioctl_fionbio;

use crate::event::SupervisorEvent;
use crate::launch::Launch;
use crate::line_buffer::LineBuffer;

/// How long a worker may take to read the last event.
const LAST_EVENT_TIMEOUT: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// The line by which a worker asks for the end of the program.
pub(crate) const STOP: &str = "stop";

/// What a worker says after it has sent the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerRequest {
    /// End the program.
    Stop,
    /// The worker has ended, or dropped its process handle.
    Gone,
}

/// The connection. Nothing that is sent waits for the worker, which may be frozen.
#[derive(Debug)]
pub(crate) struct WorkerConnection {
    input: Stdin,
    output: Stdout,
    lines: LineBuffer,
    pending: Vec<u8>,
}

impl WorkerConnection {
    /// Takes the standard input and output of this process.
    pub(crate) fn open() -> io::Result<Self> {
        let output = io::stdout();
        ioctl_fionbio(&output, true)?;
        Ok(Self { input: io::stdin(), output, lines: LineBuffer::default(), pending: Vec::new() })
    }

    /// Where requests come from.
    pub(crate) fn input(&self) -> &Stdin {
        &self.input
    }

    /// Where events leave.
    pub(crate) fn output(&self) -> &Stdout {
        &self.output
    }

    /// Whether events wait to be sent.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The program to run; `None` if the worker has ended.
    pub(crate) fn read_launch(&mut self) -> io::Result<Option<Launch>> {
        loop {
            if let Some(line) = self.lines.next_line() {
                return serde_json::from_slice(&line).map(Some).map_err(io::Error::other);
            }
            if self.read()? == 0 {
                return Ok(None);
            }
        }
    }

    /// What the worker says. To be called when [`WorkerConnection::input`] is readable.
    pub(crate) fn read_request(&mut self) -> io::Result<Option<WorkerRequest>> {
        if self.read()? == 0 {
            return Ok(Some(WorkerRequest::Gone));
        }
        Ok(self.take_request())
    }

    /// What the worker has said that was read already: a request may be read together with the program.
    pub(crate) fn take_request(&mut self) -> Option<WorkerRequest> {
        let line = self.lines.next_line();
        line.filter(|line| line == STOP.as_bytes()).map(|_| WorkerRequest::Stop)
    }

    fn read(&mut self) -> io::Result<usize> {
        let mut chunk = [0; 16 << 10];
        let read = rustix::io::retry_on_intr(|| rustix::io::read(self.input.as_fd(), &mut chunk))?;
        self.lines.add(&chunk[..read]);
        Ok(read)
    }

    /// Sends an event as soon as the worker reads.
    pub(crate) fn send(&mut self, event: &SupervisorEvent) {
        if serde_json::to_writer(&mut self.pending, event).is_ok() {
            self.pending.push(b'\n');
        }
        self.write_pending();
    }

    /// Writes what the worker can take now. A worker that has ended takes everything.
    pub(crate) fn write_pending(&mut self) {
        while !self.pending.is_empty() {
            match rustix::io::write(self.output.as_fd(), &self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => self.pending.clear(),
            }
        }
    }

    /// Waits until everything is sent.
    pub(crate) fn flush(&mut self) {
        while !self.pending.is_empty() {
            let mut sources = [PollFd::new(&self.output, PollFlags::OUT)];
            if poll(&mut sources, Some(&LAST_EVENT_TIMEOUT)) == Ok(0) {
                return;
            }
            self.write_pending();
        }
    }
}
