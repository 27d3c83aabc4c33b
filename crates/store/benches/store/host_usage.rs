//! CPU time and disk writes, read from `/proc`: of this process, of the database server, of all other processes.

use std::fs;

/// CPU seconds that have been used since the start of each process, or of the machine.
#[derive(Debug)]
pub(crate) struct Usage {
    own: f64,
    server: Option<f64>,
    busy: f64,
    total: f64,
}

/// CPU seconds between two moments; `foreign` is the share of the machine that other processes used, 0 to 1.
#[derive(Debug)]
pub(crate) struct Used {
    pub(crate) own: f64,
    pub(crate) server: Option<f64>,
    pub(crate) foreign: f64,
}

/// CPU time is counted in hundredths of a second (`USER_HZ`) on every usual Linux.
const TICKS: f64 = 100.0;

impl Usage {
    /// The figures up to now; `postmaster` is the process id of the database server.
    pub(crate) fn now(postmaster: Option<u32>) -> Self {
        let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = stat.lines().next().unwrap_or_default();
        let ticks: Vec<f64> =
            line.split_whitespace().skip(1).take(8).filter_map(|word| word.parse().ok()).collect();
        let total: f64 = ticks.iter().sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        Self {
            own: process("self").map_or(0.0, |process| process.cpu),
            server: postmaster.map(tree),
            busy: (total - idle) / TICKS,
            total: total / TICKS,
        }
    }

    /// The difference to an earlier reading.
    pub(crate) fn since(&self, before: &Self) -> Used {
        let own = self.own - before.own;
        let server = self.server.zip(before.server).map(|(after, before)| after - before);
        let foreign = self.busy - before.busy - own - server.unwrap_or(0.0);
        Used { own, server, foreign: foreign.max(0.0) / (self.total - before.total).max(f64::EPSILON) }
    }
}

struct Process {
    parent: u32,
    /// CPU seconds of the process and of the children that it has waited for.
    cpu: f64,
}

/// Reads the fields of `/proc/PID/stat` that follow the process's name.
fn process(pid: &str) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>();
    Some(Process { parent: fields.get(1)?.parse().ok()?, cpu: ticks / TICKS })
}

/// CPU seconds of a server and its processes; the parent's figure includes those that have ended.
fn tree(postmaster: u32) -> f64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0.0 };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = pids.filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let processes = pids.filter_map(|pid| Some((pid.parse::<u32>().ok()?, process(&pid)?)));
    processes.filter(|(pid, p)| *pid == postmaster || p.parent == postmaster).map(|(_, p)| p.cpu).sum()
}

/// The id of the process that started `pid`.
pub(crate) fn parent(pid: u32) -> Option<u32> {
    process(&pid.to_string()).map(|process| process.parent)
}

/// Bytes that this process has written to disks.
pub(crate) fn written() -> u64 {
    let io = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok());
    bytes.unwrap_or(0)
}

/// The number of cores and the model of the processor.
pub(crate) fn describe() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ").map(|(_, name)| name));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}", name.unwrap_or("unknown model"))
}
