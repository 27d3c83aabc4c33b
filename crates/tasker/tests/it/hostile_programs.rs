//! Programs that do not want to stop: whatever they do, none of their processes is left after the deadline and the grace of their task, also if
//! the worker or the supervisor is killed. What is left is looked for in `/proc`, by a mark in the environment and the arguments.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use domain::{Reason, Task, TaskId};
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::join;
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::kit::api_client::ApiClient;
use crate::kit::tasker_up::TaskerUp;
use crate::kit::wait_until::wait_until;

/// Every setting of the means by which programs are killed.
const MEANS: [&str; 4] = ["auto", "cgroup", "namespace", "subreaper"];

/// Only one of these tests runs at a time: each starts some sixty processes.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A time to live that no test waits for, in milliseconds.
const HOURS: u64 = 7_200_000;

/// What all programs begin with. `ready` is called once all processes of a program are there.
const PRELUDE: &str = r#"
import os, signal, subprocess, sys, threading, time
def ready():
    open(sys.argv[2], "w").close()
def child(code, **options):
    return subprocess.Popen([sys.executable, "-c", code, sys.argv[1]], **options)
FOREVER = "import time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(60)"
"#;

/// The hostile programs: a type and the code. Each runs until it is killed.
const PROGRAMS: &[(&str, &str)] = &[
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
    ("ZOMBIES", "for n in range(20):\n    if os.fork() == 0: os._exit(0)\nready(); time.sleep(600)"),
];

/// A `tasker up` whose worker has the hostile programs, and the mark of all their processes.
struct HostileWorker {
    up: TaskerUp,
    user: ApiClient,
    mark: String,
}

impl HostileWorker {
    async fn start(means: &str) -> Self {
        let home = TempDir::new().expect("a temporary directory can be created");
        let mark = format!("hostile-{}", Uuid::new_v4());
        let mut settings = format!("[worker]\nslots = 20\nstop_means = \"{means}\"\n");
        for (name, code) in PROGRAMS {
            let ready = home.path().join(format!("{name}.ready"));
            declare(&mut settings, name, &format!("{PRELUDE}{code}"), &mark, &ready, "grace_ms = 100");
        }
        fs::write(home.path().join("tasker.toml"), settings).expect("the settings can be written");
        let up = TaskerUp::start_in(home, &[]);
        Self { user: ApiClient::register(&up.urls(), "ann").await, up, mark }
    }

    /// Submits a task of each program, and waits until their processes are there.
    async fn submit_all(&self, ttl_ms: u64) -> Vec<TaskId> {
        let submits = PROGRAMS.iter().map(|(name, _)| self.user.submit(name, json!({}), ttl_ms));
        let ids = join_all(submits).await;
        for (name, _) in PROGRAMS {
            let ready = self.up.home().join(format!("{name}.ready"));
            wait_until(&format!("{name} is ready"), async || ready.exists()).await;
        }
        ids
    }

    /// Waits until a task shows when its work has stopped.
    async fn wait_until_stopped(&self, id: TaskId) -> Task {
        let is_stopped = async || self.user.read_task(id).await.stopped_date.is_some();
        wait_until("the task shows when its work has stopped", is_stopped).await;
        self.user.read_task(id).await
    }
}

/// Adds a declaration of a Python program, whose arguments are the mark and the file that says that it is ready.
fn declare(settings: &mut String, name: &str, code: &str, mark: &str, ready: &Path, further: &str) {
    let run = json!(["python3", "-c", code, mark, ready]);
    writeln!(
        settings,
        "[[worker.operations]]\ntype = \"{name}\"\nrun = {run}\nenvironment = {{ PATH = \"/usr/bin:/bin\", MARK = \"{mark}\" }}\n{further}"
    )
    .expect("a string takes everything");
}

/// The processes that bear the mark and are no zombies, with their arguments.
fn marked(mark: &str) -> Vec<String> {
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

/// The supervisors that are children of the process `parent`.
fn supervisors_of(parent: u32) -> Vec<String> {
    let found = Command::new("pgrep").args(["-P", &parent.to_string(), "-f", "__supervisor$"]).output();
    let found = found.expect("pgrep can be started").stdout;
    String::from_utf8_lossy(&found).lines().map(str::to_owned).collect()
}

/// G9: nothing is left once a task shows when its work has stopped, and it does show it.
async fn stops_everything_at_the_deadline(means: &str) {
    let hostile = HostileWorker::start(means).await;
    let ids = hostile.submit_all(20_000).await;
    for id in ids {
        // The worker may say that the work has stopped before the Backend has ended the task.
        hostile.user.wait_until_ended(id).await;
        let task = hostile.wait_until_stopped(id).await;
        assert_eq!(task.reason, Some(Reason::TtlExpired), "{means}: {task:?}");
    }
    assert_eq!(marked(&hostile.mark), [""; 0], "{means}");
}

#[tokio::test]
async fn no_process_of_a_hostile_program_is_left_after_its_deadline_and_grace() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let [auto, cgroup, namespace, subreaper] = MEANS.map(stops_everything_at_the_deadline);
    join!(auto, cgroup);
    join!(namespace, subreaper);
}

/// G9: the deadline is hours away; the end of the worker ends its programs.
#[tokio::test]
async fn no_process_is_left_when_the_worker_is_killed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for means in MEANS {
        let hostile = HostileWorker::start(means).await;
        hostile.submit_all(HOURS).await;
        assert!(marked(&hostile.mark).len() > PROGRAMS.len());
        let HostileWorker { up, mark, .. } = hostile;
        let _home = up.kill();
        wait_until(&format!("{means}: nothing is left"), async || marked(&mark).is_empty()).await;
    }
}

/// G9: a supervisor that was killed is cleaned up after, and its task fails.
#[tokio::test]
async fn no_process_is_left_when_the_supervisor_is_killed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for means in MEANS {
        let mut hostile = HostileWorker::start(means).await;
        let ids = hostile.submit_all(HOURS).await;
        let supervisors = supervisors_of(hostile.up.process().id());
        assert_eq!(supervisors.len(), PROGRAMS.len(), "{means}");
        assert!(Command::new("kill").arg("-KILL").args(supervisors).status().expect("kill exists").success());
        wait_until(&format!("{means}: nothing is left"), async || marked(&hostile.mark).is_empty()).await;
        for id in ids {
            let task = hostile.user.wait_until_ended(id).await;
            assert_eq!(task.reason, Some(Reason::OperationFailed), "{means}: {task:?}");
        }
    }
}

/// G12: a cancel stops the program long before its deadline.
#[tokio::test]
async fn a_cancelled_program_is_stopped_and_the_task_shows_when() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let hostile = HostileWorker::start("auto").await;
    let ids = hostile.submit_all(HOURS).await;
    hostile.user.cancel_what_is_left().await;
    for id in ids {
        hostile.wait_until_stopped(id).await;
    }
    assert_eq!(marked(&hostile.mark), [""; 0]);
}

/// Programs that use too much: a type, the code, the limit, and what the error says of it.
const GREEDY: &[(&str, &str, &str, &str)] = &[
    ("OUTPUT", "while True: print('x' * 1000)", "output_bytes = 100000", "limit of output"),
    (
        "MEMORY",
        "ready(); kept = []\nwhile True: kept.append(bytearray(4 << 20)); time.sleep(0.01)",
        "memory_mb = 100",
        "limit of memory",
    ),
    (
        "PROCESSES",
        "for n in range(200): child(FOREVER)\ntime.sleep(600)",
        "processes = 20",
        "limit of processes",
    ),
    ("CPU", "while True: pass", "cpu_seconds = 1", "limit of processor time"),
    (
        "FILE",
        "signal.signal(signal.SIGXFSZ, signal.SIG_DFL)\nopen('f', 'w').write('x' * (3 << 20))",
        "file_mb = 1",
        "limit of file size",
    ),
];

#[tokio::test]
async fn a_program_that_exceeds_a_limit_is_killed_with_that_reason() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let home = TempDir::new().expect("a temporary directory can be created");
    let mark = format!("greedy-{}", Uuid::new_v4());
    let mut settings = String::new();
    for (name, code, limit, _) in GREEDY {
        let ready = home.path().join(format!("{name}.ready"));
        declare(
            &mut settings,
            name,
            &format!("{PRELUDE}{code}"),
            &mark,
            &ready,
            &format!("limits = {{ {limit} }}"),
        );
    }
    fs::write(home.path().join("tasker.toml"), settings).expect("the settings can be written");
    let up = TaskerUp::start_in(home, &[]);
    let user = ApiClient::register(&up.urls(), "ann").await;
    let ids = join_all(GREEDY.iter().map(|(name, ..)| user.submit(name, json!({}), HOURS))).await;
    for (id, (name, .., expected)) in ids.into_iter().zip(GREEDY) {
        let error = user.wait_until_ended(id).await.error.unwrap_or_default();
        assert!(error.contains(expected), "{name}: {error}");
    }
    assert_eq!(marked(&mark), [""; 0]);
}
