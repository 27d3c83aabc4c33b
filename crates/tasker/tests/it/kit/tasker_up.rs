//! A `tasker up` (every service in one process) on free ports, in a directory of its own.

use std::path::Path;
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use crate::kit::command::{CommandOutput, run, set_arguments, tasker_command};
use crate::kit::process::Process;
use crate::kit::service_urls::ServiceUrls;

/// The arguments of a `tasker up` that listens on free ports of the loopback address.
pub const UP_ON_FREE_PORTS: [&str; 5] =
    ["up", "--backend-addr", "127.0.0.1:0", "--identity-addr", "127.0.0.1:0"];

/// A running `tasker up` and the URLs that it printed.
pub struct TaskerUp {
    home: TempDir,
    process: Process,
    /// The Backend's base URL.
    pub backend_url: String,
    /// Identity's base URL.
    pub identity_url: String,
    /// The link that makes the first administrator; empty if there is one already.
    pub setup_link: String,
}

impl TaskerUp {
    /// Starts one in a new directory and waits until it is ready.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one in a new directory with `settings` (`key=value`) and waits until it is ready.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::start_in(TempDir::new().expect("a temporary directory can be created"), settings)
    }

    /// Starts one in the directory `home` with `settings` (`key=value`) and waits until it is ready.
    pub fn start_in(home: TempDir, settings: &[&str]) -> Self {
        let arguments = UP_ON_FREE_PORTS.into_iter().chain(set_arguments(settings));
        let command = tasker_command(home.path(), arguments);
        Self::start_command(home, command)
    }

    /// Starts one with `command`, which runs it in the directory `home`, and waits until it is ready.
    pub fn start_command(home: TempDir, mut command: Command) -> Self {
        let mut process = Process::start(&mut command);
        let backend_url = process.wait_for_line("Backend:");
        let identity_url = process.wait_for_line("Identity:");
        process.wait_for_line("Ready.");
        let link = process.output().iter().find_map(|line| line.strip_prefix("Setup link: "));
        let setup_link = link.unwrap_or_default().to_owned();
        Self { home, process, backend_url, identity_url, setup_link }
    }

    /// The base URLs of both services.
    pub fn urls(&self) -> ServiceUrls {
        ServiceUrls { backend: self.backend_url.clone(), identity: self.identity_url.clone(), ca: None }
    }

    /// The directory in which it runs; its data are in `.tasker` there.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Runs a client command in the same directory, and so as the account `local`.
    pub fn run_command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> CommandOutput {
        run(&mut tasker_command(self.home(), arguments))
    }

    /// Kills the process with SIGKILL and returns its directory.
    pub fn kill(mut self) -> TempDir {
        self.process.kill();
        self.home
    }

    /// Stops the process with SIGTERM and returns its directory and exit status.
    pub fn stop(mut self) -> (TempDir, ExitStatus) {
        self.process.terminate();
        let status = self.process.wait_for_exit();
        (self.home, status)
    }
}
