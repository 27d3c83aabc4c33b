//! Programs that do not want to stop, a `tasker up` whose worker has them, and what is left of them, as `/proc` and the file system show it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use domain::{Task, TaskId};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::kit::api_client::ApiClient;
use crate::kit::command::tasker_command;
use crate::kit::tasker_up::{TaskerUp, UP_ON_FREE_PORTS};
use crate::kit::wait_until::wait_until;

/// Every setting of the means by which programs are killed.
pub const MEANS: [&str; 4] = ["auto", "cgroup", "namespace", "subreaper"];

/// Only one test with hostile programs runs at a time: each starts some sixty processes.
pub static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// No path at all.
pub const NOTHING: Vec<PathBuf> = Vec::new();

/// A time to live that no test waits for, in milliseconds.
pub const HOURS: u64 = 7_200_000;

/// What all programs begin with. `ready` is called once all processes of a program are there.
pub const PRELUDE: &str = r#"
import os, signal, subprocess, sys, threading, time
def ready():
    open(sys.argv[2], "w").close()
def child(code, **options):
    return subprocess.Popen([sys.executable, "-c", code, sys.argv[1]], **options)
FOREVER = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(60)"
"#;

/// The hostile programs: a type and the code. Each runs until it is killed.
pub const PROGRAMS: &[(&str, &str)] = &[
    // It leaves the processors to the test.
    ("LOOP", "os.nice(15); ready()\nwhile True: pass"),
    ("IGNORES_SIGTERM", "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready(); time.sleep(600)"),
    ("NEW_SESSION", "child(FOREVER, start_new_session=True); ready(); time.sleep(600)"),
    (
        "DAEMON_WITHOUT_ENVIRONMENT",
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        os.execve(sys.executable, [sys.executable, '-c', 'import sys, time; open(sys.argv[2], \"w\").close(); time.sleep(600)', *sys.argv[1:]], {})\n    os._exit(0)\ntime.sleep(600)",
    ),
    ("MANY_CHILDREN", "for n in range(5): child(FOREVER)\nready(); time.sleep(600)"),
    (
        "FORKS_ON_AND_ON",
        "os.nice(15); ready()\nwhile True:\n    if os.fork() == 0:\n        time.sleep(0.5); os._exit(0)\n    time.sleep(0.1)",
    ),
    (
        "HELD_OUTPUT",
        "child(FOREVER, start_new_session=True); print('done', flush=True); ready(); time.sleep(600)",
    ),
    ("CLOSED_OUTPUT", "[os.close(fd) for fd in (0, 1, 2)]; ready(); time.sleep(600)"),
    ("STOPPED_CHILD", "p = child(FOREVER); os.kill(p.pid, signal.SIGSTOP); ready(); time.sleep(600)"),
    ("STOPS_ITSELF", "ready(); os.kill(os.getpid(), signal.SIGSTOP); time.sleep(600)"),
    ("THREADS", "[threading.Thread(target=time.sleep, args=(600,)).start() for n in range(20)]; ready()"),
    (
        "CLOSED_DIRECTORY",
        "os.makedirs('a/b/c'); os.chmod('a/b', 0); os.chmod('a', 0); ready(); time.sleep(600)",
    ),
    ("ZOMBIES", "for n in range(20):\n    if os.fork() == 0: os._exit(0)\nready(); time.sleep(600)"),
];

/// A `tasker up` whose worker has the hostile programs, and the mark of all their processes.
pub struct HostileWorker {
    /// The worker, with all other services.
    pub up: TaskerUp,
    /// The owner of its tasks.
    pub user: ApiClient,
    /// What the environment or the arguments of each process of a program contain.
    pub mark: String,
}

impl HostileWorker {
    /// Starts one whose programs are killed by `means` and that has its temporary files in `temporary`.
    pub async fn start(means: &str, temporary: &Path) -> Self {
        let (home, mark) = home_of_hostile_programs(means);
        let mut command = tasker_command(home.path(), UP_ON_FREE_PORTS);
        command.env("TMPDIR", temporary);
        Self::of(TaskerUp::start_command(home, command), mark).await
    }

    /// That of a `tasker up` with the settings of [`home_of_hostile_programs`].
    pub async fn of(up: TaskerUp, mark: String) -> Self {
        Self { user: ApiClient::register(&up.urls(), "ann").await, up, mark }
    }

    /// Submits a task of the program `name`, and waits until its processes are there.
    pub async fn submit(&self, name: &str, ttl_ms: u64) -> TaskId {
        let id = self.user.submit(name, json!({}), ttl_ms).await;
        let ready = self.up.home().join(format!("{name}.ready"));
        wait_until(&format!("{name} is ready"), async || ready.exists()).await;
        id
    }

    /// Submits a task of each program, and waits until their processes are there.
    pub async fn submit_all(&self, ttl_ms: u64) -> Vec<TaskId> {
        join_all(PROGRAMS.iter().map(|(name, _)| self.submit(name, ttl_ms))).await
    }

    /// Waits until a task shows when its work has stopped.
    pub async fn wait_until_stopped(&self, id: TaskId) -> Task {
        let is_stopped = async || self.user.read_task(id).await.stopped_date.is_some();
        wait_until("the task shows when its work has stopped", is_stopped).await;
        self.user.read_task(id).await
    }

    /// The process ids of the supervisors.
    pub fn supervisors(&mut self) -> Vec<String> {
        children_of(&[self.up.process().id().to_string()], "__supervisor$")
    }

    /// The control groups of the worker and of its attempts.
    pub fn control_groups(&mut self) -> Vec<PathBuf> {
        let name = format!("*/tasker-worker-{}-*", self.up.process().id());
        let found = Command::new("find").args(["/sys/fs/cgroup", "-path", &name, "-type", "d"]).output();
        let found = found.expect("find can be started").stdout;
        String::from_utf8_lossy(&found).lines().map(PathBuf::from).collect()
    }
}

/// A directory with the settings of a worker that has the hostile programs, and the mark of their processes.
pub fn home_of_hostile_programs(means: &str) -> (TempDir, String) {
    let home = TempDir::new().expect("a temporary directory can be created");
    let mark = format!("hostile-{}", Uuid::new_v4());
    let mut settings = format!("[worker]\nslots = 20\nstop_means = \"{means}\"\n");
    for (name, code) in PROGRAMS {
        let ready = home.path().join(format!("{name}.ready"));
        declare(&mut settings, name, &format!("{PRELUDE}{code}"), &mark, &ready, "grace_ms = 100");
    }
    fs::write(home.path().join("tasker.toml"), settings).expect("the settings can be written");
    (home, mark)
}

/// Adds a declaration of a Python program, whose arguments are the mark and the file that says that it is ready.
pub fn declare(settings: &mut String, name: &str, code: &str, mark: &str, ready: &Path, further: &str) {
    let run = json!(["python3", "-c", code, mark, ready]);
    writeln!(
        settings,
        "[[worker.operations]]\ntype = \"{name}\"\nrun = {run}\nenvironment = {{ PATH = \"/usr/bin:/bin\", MARK = \"{mark}\" }}\n{further}"
    )
    .expect("a string takes everything");
}

/// The processes that bear the mark and are no zombies, with their arguments.
pub fn marked(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("there is /proc").filter_map(Result::ok);
    let of_mark = processes.filter_map(|process| {
        let read = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
        let [environment, arguments] =
            ["environ", "cmdline"].map(|name| String::from_utf8_lossy(&read(name)).into_owned());
        let is_marked = environment.contains(mark) || arguments.contains(mark);
        is_marked.then(|| format!("{} {arguments}", process.file_name().display()))
    });
    of_mark.collect()
}

/// The children of the processes `parents` whose command line matches `pattern`.
pub fn children_of(parents: &[String], pattern: &str) -> Vec<String> {
    let found = Command::new("pgrep").args(["-P", &parents.join(","), "-f", pattern]).output();
    let found = found.expect("pgrep can be started").stdout;
    String::from_utf8_lossy(&found).lines().map(str::to_owned).collect()
}

/// Sends a signal, named without its SIG, to all `processes` with one command.
pub fn signal_all(signal: &str, processes: &[String]) {
    let status = Command::new("kill").arg(format!("-{signal}")).args(processes).status();
    assert!(status.expect("kill can be started").success());
}

/// The directories of attempts in the directory `temporary`.
pub fn attempt_directories(temporary: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(temporary).expect("the directory can be read").filter_map(Result::ok);
    let attempts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("tasker-attempt-"));
    attempts.map(|attempt| attempt.path()).collect()
}
