//! The supervisor: has the init process start a program, and ends it at its deadline, at the worker's word or death, and at its limits.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, kill_process, set_child_subreaper};

use crate::boot_clock::BootInstant;
use crate::cgroup::Cgroup;
use crate::event::{EndReason, Ended, InitEvent, Limit, SupervisorEvent};
use crate::init_process::TERMINATE;
use crate::kill::kill_descendants;
use crate::launch::{InitLaunch, Launch, Limits, STANDARD_ERROR_TAIL_BYTES};
use crate::line_buffer::LineBuffer;
use crate::marked_processes::INIT_MARK;
use crate::output::{OutputPipe, ReadProgress, StandardOutput, Tail};
use crate::scratch_directory::ScratchDirectory;
use crate::system_user::SystemUser;
use crate::worker_connection::{WorkerConnection, WorkerRequest};
use crate::{namespace, role_names, usage};

/// How often memory and processes are counted where no control group limits them.
const USAGE_INTERVAL: Duration = Duration::from_millis(20);

/// The longest wait without a look at the clock, since timers stand still while the machine is suspended.
const CLOCK_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the supervisor to its end.
pub(crate) fn run() -> io::Result<()> {
    let mut worker = WorkerConnection::open()?;
    let Some(launch) = worker.read_launch()? else { return Ok(()) };
    set_child_subreaper(Some(getpid()))?;
    let cgroup = launch.cgroup.as_deref().map(|path| Cgroup::create(path, &launch.program.limits));
    let ended = match cgroup.transpose().and_then(|cgroup| Supervision::start(&launch, cgroup)) {
        Ok(mut supervision) => supervision.run(&mut worker)?,
        Err(error) => Ended::not_started(&error),
    };
    worker.send(&SupervisorEvent::Ended(ended));
    worker.flush();
    Ok(())
}

/// One program that runs.
#[derive(Debug)]
struct Supervision<'a> {
    launch: &'a Launch,
    cgroup: Option<Cgroup>,
    init: UnixStream,
    init_pid: Pid,
    init_lines: LineBuffer,
    output_pipe: OutputPipe,
    error_pipe: OutputPipe,
    output: StandardOutput,
    error: Tail,
    /// Why it is ending, and when what is left is killed.
    ending: Option<(EndReason, BootInstant)>,
    /// When what is used is counted next.
    next_count: BootInstant,
    _scratch: ScratchDirectory,
}

impl<'a> Supervision<'a> {
    fn start(launch: &'a Launch, cgroup: Option<Cgroup>) -> io::Result<Self> {
        let program = &launch.program;
        let user = program.user.as_deref().map(SystemUser::find).transpose()?;
        let scratch = ScratchDirectory::create(&launch.scratch, user)?;
        let input_file = scratch.write_input(&program.input)?;
        if launch.in_namespace {
            namespace::enter_for_children()?;
        }
        let (mut init, init_end) = UnixStream::pair()?;
        let (output_pipe, output_end) = io::pipe()?;
        let (error_pipe, error_end) = io::pipe()?;
        let mut command = Command::new("/proc/self/exe");
        command
            .arg(role_names::INIT)
            .stdin(Stdio::from(OwnedFd::from(init_end)))
            .stdout(output_end)
            .stderr(error_end);
        command.env_clear().env(INIT_MARK, launch.mark.to_string());
        let child = command.process_group(0).spawn()?;
        // The command holds the write ends of the pipes.
        drop(command);
        let init_pid = Pid::from_child(&child);
        if let Some(cgroup) = &cgroup {
            cgroup.add(init_pid)?;
        }
        let directory = program.directory.clone().unwrap_or_else(|| scratch.working_directory());
        let mut program = program.clone();
        program.input.clear();
        program.directory = Some(directory);
        let line = serde_json::to_string(&InitLaunch { program, input_file }).map_err(io::Error::other)?;
        init.write_all((line + "\n").as_bytes())?;
        Ok(Self {
            launch,
            cgroup,
            init,
            init_pid,
            init_lines: LineBuffer::default(),
            output_pipe: OutputPipe::new(output_pipe)?,
            error_pipe: OutputPipe::new(error_pipe)?,
            output: StandardOutput::limited_to(launch.program.limits.output_bytes),
            error: Tail::new(STANDARD_ERROR_TAIL_BYTES),
            ending: None,
            next_count: BootInstant::now(),
            _scratch: scratch,
        })
    }

    /// Waits for the end of the program, kills what it leaves, and says how it ended.
    fn run(&mut self, worker: &mut WorkerConnection) -> io::Result<Ended> {
        if worker.take_request() == Some(WorkerRequest::Stop) {
            self.terminate(EndReason::Stopped);
        }
        let own = loop {
            if let Some(reason) = self.due_end() {
                break reason;
            }
            if let Some(reason) = self.next_event(worker)? {
                break reason;
            }
        };
        // Orphans may be children of the supervisor by now; they end with the program.
        kill_process(self.init_pid, Signal::KILL).ok();
        let is_confirmed = kill_descendants(self.cgroup.as_ref());
        self.read_rest(worker);
        let reason = match self.ending.take() {
            // Within a grace before the deadline the program may still end as it likes.
            Some(_) if matches!(own, EndReason::Exited(_)) && self.is_before_deadline() => self.refine(own),
            Some((asked, _)) => asked,
            None => self.refine(own),
        };
        Ok(Ended { reason, output: self.output.take_rest(), error_tail: self.error.to_text(), is_confirmed })
    }

    /// Why the program is killed now, if it is: its time is over.
    fn due_end(&mut self) -> Option<EndReason> {
        if self.ending.is_none() && BootInstant::now() >= self.term_at() {
            self.terminate(EndReason::DeadlinePassed);
        }
        let (reason, kill_at) = self.ending.as_ref()?;
        (BootInstant::now() >= *kill_at).then(|| reason.clone())
    }

    /// When the program is sent SIGTERM, unless it is told to stop earlier.
    fn term_at(&self) -> BootInstant {
        let (deadline, grace) = (self.launch.program.deadline, self.launch.program.grace);
        if grace.is_before_deadline { deadline.minus(grace.duration) } else { deadline }
    }

    /// Whether the program was told to stop by its deadline only, and this has not come yet.
    fn is_before_deadline(&self) -> bool {
        self.launch.program.grace.is_before_deadline && BootInstant::now() < self.launch.program.deadline
    }

    /// Sends SIGTERM; the program is killed once its grace is over.
    fn terminate(&mut self, reason: EndReason) {
        let grace = self.launch.program.grace.duration;
        if !grace.is_zero() {
            self.init.write_all(&[TERMINATE]).ok();
        }
        self.ending = Some((reason, BootInstant::now().plus(grace)));
    }

    /// Waits for the next event and handles it; returns why the program has ended, if it has.
    fn next_event(&mut self, worker: &mut WorkerConnection) -> io::Result<Option<EndReason>> {
        let [is_worker, is_init, is_output, is_error] = self.wait(worker)?;
        if is_worker {
            match worker.read_request()? {
                Some(WorkerRequest::Stop) if self.ending.is_none() => self.terminate(EndReason::Stopped),
                Some(WorkerRequest::Stop) | None => {}
                Some(WorkerRequest::Gone) => return Ok(Some(EndReason::Stopped)),
            }
        }
        worker.write_pending();
        if is_error {
            self.error_pipe.read(|written| self.error.add(written));
        }
        if is_output {
            self.output_pipe.read(|written| self.output.add(written));
            self.send_lines(worker);
        }
        if self.output.is_exceeded {
            return Ok(Some(EndReason::LimitExceeded(Limit::Output)));
        }
        if is_init && let Some(reason) = self.read_init() {
            return Ok(Some(reason));
        }
        Ok(self.exceeded_limit().map(EndReason::LimitExceeded))
    }

    /// Waits until the worker, the init process or the program says something, or some time is over.
    fn wait(&self, worker: &WorkerConnection) -> io::Result<[bool; 4]> {
        let mut sources =
            vec![PollFd::new(worker.input(), PollFlags::IN), PollFd::new(&self.init, PollFlags::IN)];
        for pipe in [&self.output_pipe, &self.error_pipe] {
            // At its end a pipe would be readable for ever.
            let wanted = if pipe.is_at_end { PollFlags::empty() } else { PollFlags::IN };
            sources.push(PollFd::new(&pipe.pipe, wanted));
        }
        if worker.has_pending() {
            sources.push(PollFd::new(worker.output(), PollFlags::OUT));
        }
        let wait = self.longest_wait();
        let wait = Timespec { tv_sec: wait.as_secs().cast_signed(), tv_nsec: i64::from(wait.subsec_nanos()) };
        match poll(&mut sources, Some(&wait)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |index: usize| !sources[index].revents().is_empty();
        let pipes_are_open = [!self.output_pipe.is_at_end, !self.error_pipe.is_at_end];
        Ok([is_ready(0), is_ready(1), is_ready(2) && pipes_are_open[0], is_ready(3) && pipes_are_open[1]])
    }

    fn longest_wait(&self) -> Duration {
        let next = self.ending.as_ref().map_or_else(|| self.term_at(), |(_, kill_at)| *kill_at);
        let most = if self.counts_usage() { USAGE_INTERVAL } else { CLOCK_CHECK_INTERVAL };
        next.since(BootInstant::now()).min(most)
    }

    /// Whether the supervisor itself compares what is used with the limits.
    fn counts_usage(&self) -> bool {
        let Limits { memory_bytes, processes, .. } = self.launch.program.limits;
        memory_bytes.is_some() || processes.is_some()
    }

    fn exceeded_limit(&mut self) -> Option<Limit> {
        let now = BootInstant::now();
        if !self.counts_usage() || now < self.next_count {
            return None;
        }
        self.next_count = now.plus(USAGE_INTERVAL);
        if let Some(cgroup) = &self.cgroup {
            if cgroup.has_run_out_of_memory() {
                return Some(Limit::Memory);
            }
            if cgroup.has_run_out_of_processes() {
                return Some(Limit::Processes);
            }
        }
        usage::exceeded_limit(self.init_pid, &self.launch.program.limits)
    }

    /// What the init process says of the end of the program.
    fn read_init(&mut self) -> Option<EndReason> {
        use std::io::Read;
        let mut chunk = [0; 4096];
        match self.init.read(&mut chunk) {
            Ok(read) if read > 0 => self.init_lines.add(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return None,
            Ok(_) | Err(_) => return Some(EndReason::InitProcessLost),
        }
        let line = self.init_lines.next_line()?;
        Some(match serde_json::from_slice(&line) {
            Ok(InitEvent::Exited(code)) => EndReason::Exited(code),
            Ok(InitEvent::Signalled(signal)) => EndReason::Signalled(signal),
            Ok(InitEvent::NotStarted(error)) => EndReason::NotStarted(error),
            Err(_) => EndReason::InitProcessLost,
        })
    }

    /// Reads what the program wrote before it was killed. Nothing writes any more, so this does not take long.
    fn read_rest(&mut self, worker: &mut WorkerConnection) {
        while self.output_pipe.read(|written| self.output.add(written)) == ReadProgress::Some {
            self.send_lines(worker);
        }
        while self.error_pipe.read(|written| self.error.add(written)) == ReadProgress::Some {}
    }

    fn send_lines(&mut self, worker: &mut WorkerConnection) {
        if self.launch.program.sends_lines {
            while let Some(line) = self.output.next_line() {
                worker.send(&SupervisorEvent::Line(line));
            }
        }
    }

    /// The limit that a program exceeded which ended by itself, or by the kernel's signal.
    fn refine(&self, reason: EndReason) -> EndReason {
        let limits = &self.launch.program.limits;
        let by_signal = |signal: Signal| reason == EndReason::Signalled(signal.as_raw());
        if self.output.is_exceeded {
            EndReason::LimitExceeded(Limit::Output)
        } else if by_signal(Signal::XCPU) && limits.cpu_seconds.is_some() {
            EndReason::LimitExceeded(Limit::ProcessorTime)
        } else if by_signal(Signal::XFSZ) && limits.file_bytes.is_some() {
            EndReason::LimitExceeded(Limit::FileSize)
        } else if self.cgroup.as_ref().is_some_and(Cgroup::has_run_out_of_memory) {
            EndReason::LimitExceeded(Limit::Memory)
        } else {
            reason
        }
    }
}

impl Ended {
    /// The end of a program that could not be started.
    pub(crate) fn not_started(error: &io::Error) -> Self {
        Self {
            reason: EndReason::NotStarted(error.to_string()),
            output: None,
            error_tail: String::new(),
            is_confirmed: true,
        }
    }
}
