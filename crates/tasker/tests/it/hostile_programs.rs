//! Programs that do not want to stop: whatever they do, none of their processes is left after the deadline and the grace of their task, or after a
//! cancellation. What is left is looked for in `/proc`, by a mark in the environment and the arguments.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use domain::Reason;
use futures_util::future::join_all;
use serde_json::json;
use tempfile::TempDir;
use tokio::join;
use uuid::Uuid;

use crate::kit::api_client::ApiClient;
use crate::kit::hostile_worker::{
    HOURS, HostileWorker, MEANS, NOTHING, ONE_AT_A_TIME, PRELUDE, attempt_directories, declare,
    home_of_hostile_programs, marked,
};
use crate::kit::tasker_up::{TaskerUp, UP_ON_FREE_PORTS};

/// G9: nothing is left once a task shows when its work has stopped, and it does show it.
async fn assert_all_stops_at_the_deadline(hostile: &HostileWorker) {
    for id in hostile.submit_all(20_000).await {
        // The worker may say that the work has stopped before the Backend has ended the task.
        hostile.user.wait_until_ended(id).await;
        let task = hostile.wait_until_stopped(id).await;
        assert_eq!(task.reason, Some(Reason::TtlExpired), "{task:?}");
    }
    assert_eq!(marked(&hostile.mark), [""; 0]);
}

async fn stops_everything_at_the_deadline(means: &str) {
    let temporary = TempDir::new().expect("a temporary directory can be created");
    let hostile = HostileWorker::start(means, temporary.path()).await;
    assert_all_stops_at_the_deadline(&hostile).await;
    assert_eq!(attempt_directories(temporary.path()), NOTHING, "{means}");
}

#[tokio::test]
async fn no_process_of_a_hostile_program_is_left_after_its_deadline_and_grace() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let [auto, cgroup, namespace, subreaper] = MEANS.map(stops_everything_at_the_deadline);
    join!(auto, cgroup);
    join!(namespace, subreaper);
}

/// The user `nobody`, by number.
const NOBODY: u32 = 65534;

/// A worker that is not root may create no control group, and has a PID namespace only where every user may have one.
async fn stops_everything_at_the_deadline_as_nobody(means: &str) {
    let (home, mark) = home_of_hostile_programs(means);
    let program = home.path().join("tasker");
    fs::copy(env!("CARGO_BIN_EXE_tasker"), &program).expect("the program can be copied");
    for path in [home.path(), &home.path().join("tasker.toml")] {
        chown(path, Some(NOBODY), Some(NOBODY)).expect("the test runs as root");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    command.arg(&program).args(UP_ON_FREE_PORTS).current_dir(home.path());
    command.env_clear().env("PATH", "/usr/bin:/bin").env("TMPDIR", home.path());
    let mut hostile = HostileWorker::of(TaskerUp::start_command(home, command), mark).await;
    assert_eq!(hostile.control_groups(), NOTHING, "{means}");
    assert_all_stops_at_the_deadline(&hostile).await;
    assert_eq!(attempt_directories(hostile.up.home()), NOTHING, "{means}");
}

/// G9, where no user but root has control groups.
#[tokio::test]
async fn no_process_of_a_hostile_program_is_left_by_a_worker_that_is_not_root() {
    let _turn = ONE_AT_A_TIME.lock().await;
    join!(
        stops_everything_at_the_deadline_as_nobody("auto"),
        stops_everything_at_the_deadline_as_nobody("subreaper")
    );
}

/// G12: a cancel stops the program long before its deadline.
#[tokio::test]
async fn a_cancelled_program_is_stopped_and_the_task_shows_when() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let temporary = TempDir::new().expect("a temporary directory can be created");
    let hostile = HostileWorker::start("auto", temporary.path()).await;
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
