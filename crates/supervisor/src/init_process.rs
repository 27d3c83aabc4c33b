//! The init process: starts the program, adopts and reaps orphans, and tells the supervisor how the program ended.
//!
//! Its standard input is a socket to the supervisor; its standard output and standard error are those of the program. When the supervisor is
//! gone, it kills what is left and ends.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, pidfd_open,
    set_child_subreaper, set_parent_process_death_signal, wait,
};
use rustix::thread::set_no_new_privs;

use crate::event::InitEvent;
use crate::kill::kill_descendants;
use crate::launch::{InitLaunch, ProgramToRun};
use crate::line_buffer::LineBuffer;
use crate::resource_limits;
use crate::system_user::SystemUser;

/// How often orphans that have ended are reaped.
const REAP_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// The byte by which a supervisor asks for SIGTERM to the program.
pub(crate) const TERMINATE: u8 = b't';

/// Runs the init process to its end.
pub(crate) fn run() -> io::Result<()> {
    if getpid() == Pid::INIT {
        // The kernel ends all processes of a PID namespace with the first one. Outside of one, this process kills them itself.
        set_parent_process_death_signal(Some(Signal::KILL))?;
    }
    set_child_subreaper(Some(getpid()))?;
    // A program that gained the rights of another user could not be killed.
    set_no_new_privs(true)?;
    let mut supervisor = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some((launch, requests)) = read_launch(&mut supervisor)? else { return Ok(()) };
    let event = match start(&launch) {
        Ok(program) => {
            if requests.contains(&TERMINATE) {
                kill_process_group(Pid::from_child(&program), Signal::TERM).ok();
            }
            wait_for(&program, &mut supervisor)?
        }
        Err(error) => Some(InitEvent::NotStarted(error.to_string())),
    };
    if let Some(event) = event {
        let line = serde_json::to_string(&event).map_err(io::Error::other)? + "\n";
        supervisor.write_all(line.as_bytes()).ok();
    } else {
        kill_descendants(None);
    }
    Ok(())
}

/// The first line of the supervisor, and the requests that were read together with it; `None` if it has ended.
fn read_launch(supervisor: &mut File) -> io::Result<Option<(InitLaunch, Vec<u8>)>> {
    let mut lines = LineBuffer::default();
    let mut chunk = [0; 4096];
    loop {
        if let Some(line) = lines.next_line() {
            let launch = serde_json::from_slice(&line).map_err(io::Error::other)?;
            return Ok(Some((launch, lines.take_rest())));
        }
        match supervisor.read(&mut chunk)? {
            0 => return Ok(None),
            read => lines.add(&chunk[..read]),
        }
    }
}

fn start(launch: &InitLaunch) -> io::Result<Child> {
    let ProgramToRun { arguments, environment, directory, user, limits, .. } = &launch.program;
    let (name, arguments) = arguments
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program is named"))?;
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(environment).process_group(0);
    command.stdin(File::open(&launch.input_file)?);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    if let Some(user) = user {
        let SystemUser { user, group } = SystemUser::find(user)?;
        command.uid(user).gid(group);
    }
    resource_limits::apply(limits)?;
    command.spawn().map_err(|error| io::Error::new(error.kind(), format!("cannot start {name}: {error}")))
}

/// Waits for the end of the program, reaping orphans; `None` if the supervisor ended first.
fn wait_for(program: &Child, supervisor: &mut File) -> io::Result<Option<InitEvent>> {
    let pid = Pid::from_child(program);
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let mut sources = [PollFd::new(&ended, PollFlags::IN), PollFd::new(supervisor, PollFlags::IN)];
        match poll(&mut sources, Some(&REAP_INTERVAL)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_told = !sources[1].revents().is_empty();
        if let Some(status) = reap_until(pid) {
            return Ok(Some(event_of(status)));
        }
        if is_told {
            let mut byte = [0];
            match supervisor.read(&mut byte)? {
                0 => return Ok(None),
                _ if byte[0] == TERMINATE => kill_process_group(pid, Signal::TERM).unwrap_or(()),
                _ => {}
            }
        }
    }
}

/// Reaps the children that have ended, up to the program; returns the status of the program if it has ended.
fn reap_until(program: Pid) -> Option<WaitStatus> {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == program => return Some(status),
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(_) => return None,
        }
    }
}

fn event_of(status: WaitStatus) -> InitEvent {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => InitEvent::Exited(code),
        (None, signal) => InitEvent::Signalled(signal.unwrap_or_default()),
    }
}
