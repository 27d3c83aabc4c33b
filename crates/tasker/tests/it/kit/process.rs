//! The binary as a process that runs until it is stopped: its output is read line by line, and dropping it kills the process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::kit::command::{set_arguments, tasker_command};
use crate::kit::wait_until::MAX_WAIT;

/// The pause between two readings of the signal mask of a process.
const SIGNAL_CHECK_INTERVAL: Duration = Duration::from_millis(5);

/// A running process with its output so far.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    output: Vec<String>,
}

impl Process {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let (sender, lines) = channel();
        let stdout: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("standard output is a pipe"));
        let stderr: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("standard error is a pipe"));
        for stream in [stdout, stderr] {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // Sending fails once the test has dropped the process.
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, output: Vec::new() }
    }

    /// Starts the service `tasker NAME` in the directory `home` with `settings` (`key=value`).
    pub fn start_service<S: AsRef<str>>(home: &Path, name: &str, settings: &[S]) -> Self {
        Self::start(&mut tasker_command(home, std::iter::once(name).chain(set_arguments(settings))))
    }

    /// Waits for a line that contains `part`, on either output, and returns what follows `part` in the line. Panics if the
    /// process ends before.
    pub fn wait_for_line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + MAX_WAIT;
        loop {
            match self.next_line(deadline) {
                Some(line) => {
                    if let Some((_, rest)) = line.split_once(part) {
                        return rest.trim().to_owned();
                    }
                }
                None => {
                    panic!("the process ended without a line with `{part}`:\n{}", self.output.join("\n"))
                }
            }
        }
    }

    /// The base URL of the metrics endpoint, which the process has logged by now.
    pub fn metrics_url(&mut self) -> String {
        self.read_output();
        let lines = self.output.iter();
        let url = lines.filter_map(|line| line.split_once("metrics are served on ")).find_map(|(_, rest)| {
            let (base, _) = rest.split_once("/metrics")?;
            Some(base.to_owned())
        });
        url.unwrap_or_else(|| panic!("no line names the metrics endpoint:\n{}", self.output.join("\n")))
    }

    /// Reads the lines that the process has written by now, without waiting.
    pub fn read_output(&mut self) {
        self.output.extend(self.lines.try_iter());
    }

    /// Every line that was read so far, of both outputs.
    pub fn output(&self) -> &[String] {
        &self.output
    }

    /// How many of the lines that were read so far contain `part`.
    pub fn count_lines(&self, part: &str) -> usize {
        self.output.iter().filter(|line| line.contains(part)).count()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub fn kill(&mut self) {
        self.child.kill().expect("the child process is ours");
        self.child.wait().expect("the child process is ours");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, named without its SIG.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell can be started").success());
    }

    /// Sends SIGTERM, waits for the end of the process and expects the exit code 0.
    pub fn stop(&mut self) {
        self.terminate();
        assert!(self.wait_for_exit().success(), "{:?}", self.output);
    }

    /// Waits until the process has installed a handler for SIGINT: before, the signal would kill it.
    pub fn wait_for_sigint_handler(&self) {
        let deadline = Instant::now() + MAX_WAIT;
        let is_handled = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
            let status = status.expect("the process runs");
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let mask = u64::from_str_radix(mask.expect("the mask of handled signals").trim(), 16);
            // SIGINT is signal 2, and the lowest bit of the mask stands for signal 1.
            mask.expect("the mask is hexadecimal") & 0b10 != 0
        };
        while !is_handled() {
            assert!(Instant::now() < deadline, "the process installs no handler for SIGINT");
            thread::park_timeout(SIGNAL_CHECK_INTERVAL);
        }
    }

    /// Waits for the end of the process: both outputs are closed then.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let deadline = Instant::now() + MAX_WAIT;
        while self.next_line(deadline).is_some() {}
        self.child.wait().expect("the child process is ours")
    }

    /// The next line, or none when both outputs are closed. Panics at the deadline.
    fn next_line(&mut self, deadline: Instant) -> Option<String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.output.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                panic!("no further line within the time limit:\n{}", self.output.join("\n"))
            }
        }
    }
}

impl Drop for Process {
    /// Kills the process if it still runs. Killing and waiting fail if it has ended, which is what we want.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
