//! The binary as a process: started in a directory of its own, watched line by line, gone when dropped.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::kit::person::Addresses;

/// How long a test waits for what must come; only a broken program lets it pass.
const PATIENCE: Duration = Duration::from_mins(1);

/// `tasker` with `arguments`, in `home` and with an empty environment.
pub fn tasker<'a>(home: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tasker"));
    command.current_dir(home).env_clear().args(arguments);
    command
}

/// What a command that has ended said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Its data, without the newline at the end.
    pub out: String,
    /// Its remarks and errors.
    pub err: String,
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Said {
    run_with(command, "")
}

/// The same, with something to read.
pub fn run_with(command: &mut Command, input: &str) -> Said {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    // Who does not read it has ended already.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("our own child");
    let text = |bytes| String::from_utf8(bytes).expect("text").trim_end().to_owned();
    Said { code: status.code().expect("not killed"), out: text(stdout), err: text(stderr) }
}

/// A running process; it is killed when dropped.
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts `command`.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (sender, lines) = channel();
        let out: Box<dyn Read + Send> = Box::new(child.stdout.take().expect("piped"));
        let err: Box<dyn Read + Send> = Box::new(child.stderr.take().expect("piped"));
        for stream in [out, err] {
            let sender = sender.clone();
            thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    // The test may have ended already.
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, seen: Vec::new() }
    }

    /// Waits for a line with `part` in it, on either output, and returns what follows `part`.
    pub fn after(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.next(deadline) {
                Some(line) => {
                    if let Some((_, rest)) = line.split_once(part) {
                        return rest.trim().to_owned();
                    }
                }
                None => panic!("it ended without `{part}`; it said:\n{}", self.seen.join("\n")),
            }
        }
    }

    /// Where it serves its metrics, as it has said by now.
    pub fn metrics(&mut self) -> String {
        self.listen();
        let told = self.seen.iter().find_map(|line| line.split_once("metrics are served on "));
        told.expect("it says where").1.trim().trim_end_matches("/metrics").to_owned()
    }

    /// Reads what it has said by now.
    pub fn listen(&mut self) {
        self.seen.extend(self.lines.try_iter());
    }

    /// Every line that was read so far.
    pub fn seen(&self) -> &[String] {
        &self.seen
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL; returns when it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("our own child");
        self.child.wait().expect("our own child");
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, named without its SIG.
    pub fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("a shell").success());
    }

    /// Waits until it would hear SIGINT rather than die of it.
    pub fn until_it_hears_ctrl_c(&self) {
        let deadline = Instant::now() + PATIENCE;
        let caught = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a mask").trim();
            // SIGINT is 2, and the mask begins with 1.
            u64::from_str_radix(mask, 16).expect("hexadecimal") & 0b10 != 0
        };
        while !caught() {
            assert!(Instant::now() < deadline, "it does not listen for Ctrl-C");
            thread::yield_now();
        }
    }

    /// Waits for its end: both outputs are closed then.
    pub fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while self.next(deadline).is_some() {}
        self.child.wait().expect("our own child")
    }

    fn next(&mut self, deadline: Instant) -> Option<String> {
        match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("too slow; it said:\n{}", self.seen.join("\n")),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `tasker up` on free ports, with a home of its own.
pub struct Up {
    home: TempDir,
    process: Process,
    /// Where the Backend listens.
    pub backend: String,
    /// Where Identity listens.
    pub identity: String,
    /// The link that makes the first administrator, if there is none.
    pub setup: String,
}

impl Up {
    /// Starts one in a new home and waits until it serves.
    pub fn start() -> Self {
        Self::start_in(TempDir::new().expect("a temporary directory"), &[])
    }

    /// Starts one in `home` with `settings`.
    pub fn start_in(home: TempDir, settings: &[&str]) -> Self {
        let free = ["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"];
        let sets = settings.iter().flat_map(|setting| ["--set", *setting]);
        let mut process = Process::start(&mut tasker(home.path(), free.into_iter().chain(sets)));
        let backend = process.after("Backend:");
        let identity = process.after("Identity:");
        process.after("Ready.");
        let link = process.seen().iter().find_map(|line| line.strip_prefix("Setup link: "));
        let setup = link.unwrap_or_default().to_owned();
        Self { home, process, backend, identity, setup }
    }

    /// Starts one in a new home with `settings`.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_in(TempDir::new().expect("a temporary directory"), settings)
    }

    /// Where a person meets it.
    pub fn addresses(&self) -> Addresses {
        Addresses { backend: self.backend.clone(), identity: self.identity.clone(), ca: None }
    }

    /// Kills it with SIGKILL and gives its home back.
    pub fn kill(mut self) -> TempDir {
        self.process.kill();
        self.home
    }

    /// Its home; the data lie in `.tasker` below it.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The process itself.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Runs a client command as the account `local`.
    pub fn ask<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Said {
        run(&mut tasker(self.home(), arguments))
    }

    /// Stops it politely and gives its home back.
    pub fn stop(mut self) -> (TempDir, ExitStatus) {
        self.process.terminate();
        let status = self.process.ended();
        (self.home, status)
    }
}
