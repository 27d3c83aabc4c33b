//! The worker's side: a program that a supervisor runs.

use std::env;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::spawn_blocking;

use crate::attempt_mark::AttemptMark;
use crate::cgroup::Cgroup;
use crate::event::{EndReason, Ended, SupervisorEvent};
use crate::kill::KILL_TIMEOUT;
use crate::launch::{Launch, ProgramToRun};
use crate::marked_processes::{MARK, kill_marked};
use crate::means::StopMeans;
use crate::role_names;
use crate::scratch_directory::ScratchDirectory;
use crate::supervisor_program::SupervisorProgram;
use crate::worker_connection::STOP;

/// What a running program does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It has written a line to its standard output.
    Line(String),
    /// It has ended: no further event follows.
    Ended(Ended),
}

/// A program that a supervisor runs. Dropped, it is killed with all its descendants.
#[derive(Debug)]
pub struct SupervisedProcess {
    child: Child,
    input: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    mark: AttemptMark,
    cgroup: Option<PathBuf>,
    in_namespace: bool,
    scratch: PathBuf,
}

impl SupervisedProcess {
    /// Starts a supervisor and has it run `program`. Fails if the supervisor cannot be started; that the program cannot is an
    /// [`EndReason`].
    pub async fn start(
        supervisor: &SupervisorProgram,
        means: &StopMeans,
        mut program: ProgramToRun,
    ) -> io::Result<Self> {
        let mark = AttemptMark::random();
        program.environment.insert(MARK.to_owned(), mark.to_string());
        let mut command = Command::new(supervisor.path());
        command.arg(role_names::SUPERVISOR).env_clear().env(MARK, mark.to_string());
        // Signals of a terminal go to the group of the worker only: the worker decides about its programs.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (Some(mut input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the supervisor has no pipes"));
        };
        let launch = Launch {
            mark,
            program,
            cgroup: means.cgroup.as_ref().map(|worker| worker.path().join(mark.name())),
            in_namespace: means.has_namespace,
            scratch: env::temp_dir().join(mark.name()),
        };
        let line = serde_json::to_string(&launch).map_err(io::Error::other)? + "\n";
        // A supervisor that was killed before it has read the program is noticed by the end of its events.
        input.write_all(line.as_bytes()).await.ok();
        let Launch { cgroup, in_namespace, scratch, .. } = launch;
        let events = BufReader::new(output).lines();
        Ok(Self { child, input, events, mark, cgroup, in_namespace, scratch })
    }

    /// The next event.
    pub async fn next_event(&mut self) -> ProcessEvent {
        let line = self.events.next_line().await.ok().flatten();
        match line.and_then(|line| serde_json::from_str(&line).ok()) {
            Some(SupervisorEvent::Line(line)) => ProcessEvent::Line(line),
            Some(SupervisorEvent::Ended(ended)) => {
                self.child.wait().await.ok();
                ProcessEvent::Ended(ended)
            }
            None => ProcessEvent::Ended(self.clean_up_after_supervisor().await),
        }
    }

    /// Asks for the end of the program: SIGTERM, and SIGKILL when its grace is over. The end is an event.
    pub async fn stop(&mut self) {
        self.input.write_all(format!("{STOP}\n").as_bytes()).await.ok();
    }

    /// Kills what a supervisor has left that was killed itself.
    async fn clean_up_after_supervisor(&mut self) -> Ended {
        self.child.start_kill().ok();
        self.child.wait().await.ok();
        let cgroup = self.cgroup.as_deref().and_then(Cgroup::existing);
        // Without either, a process that has cleared its environment is not seen once its init process was killed, too.
        let sees_all = cgroup.is_some() || self.in_namespace;
        let mark = self.mark;
        let killed = spawn_blocking(move || kill_marked(mark, cgroup.as_ref(), KILL_TIMEOUT)).await;
        let is_confirmed = killed.is_ok_and(|is_gone| is_gone) && sees_all;
        ScratchDirectory::remove_at(&self.scratch);
        Ended { reason: EndReason::SupervisorLost, output: None, error_tail: String::new(), is_confirmed }
    }
}
