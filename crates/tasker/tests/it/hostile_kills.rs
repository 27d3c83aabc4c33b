//! Hostile programs whose worker or supervisors are killed, one or all of them: no process of the programs is left, and what is left on disk and
//! of control groups is removed by who survives, or by the next worker.

use std::path::PathBuf;

use domain::Reason;
use tempfile::TempDir;

use crate::kit::hostile_worker::{
    HOURS, HostileWorker, MEANS, NOTHING, ONE_AT_A_TIME, PROGRAMS, attempt_directories, children_of, marked,
    signal_all,
};
use crate::kit::wait_until::wait_until;

fn temporary_directory() -> TempDir {
    TempDir::new().expect("a temporary directory can be created")
}

/// G9: the deadline is hours away; the end of the worker ends its programs.
#[tokio::test]
async fn no_process_is_left_when_the_worker_is_killed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for means in MEANS {
        let temporary = temporary_directory();
        let hostile = HostileWorker::start(means, temporary.path()).await;
        hostile.submit_all(HOURS).await;
        assert!(marked(&hostile.mark).len() > PROGRAMS.len());
        let HostileWorker { up, mark, .. } = hostile;
        let _home = up.kill();
        let is_nothing_left =
            async || marked(&mark).is_empty() && attempt_directories(temporary.path()).is_empty();
        wait_until(&format!("{means}: nothing is left"), is_nothing_left).await;
    }
}

/// G9: a supervisor that was killed is cleaned up after, and its task fails.
#[tokio::test]
async fn no_process_is_left_when_the_supervisor_is_killed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for means in MEANS {
        let temporary = temporary_directory();
        let mut hostile = HostileWorker::start(means, temporary.path()).await;
        let ids = hostile.submit_all(HOURS).await;
        let supervisors = hostile.supervisors();
        assert_eq!(supervisors.len(), PROGRAMS.len(), "{means}");
        assert_eq!(attempt_directories(temporary.path()).len(), PROGRAMS.len(), "{means}");
        // A supervisor that is stopped cannot end its program or remove anything.
        signal_all("STOP", &supervisors);
        signal_all("KILL", &supervisors);
        wait_until(&format!("{means}: nothing is left"), async || marked(&hostile.mark).is_empty()).await;
        for id in ids {
            let task = hostile.user.wait_until_ended(id).await;
            assert_eq!(task.reason, Some(Reason::OperationFailed), "{means}: {task:?}");
        }
        assert_eq!(attempt_directories(temporary.path()), NOTHING, "{means}");
        assert!(hostile.control_groups().len() <= 1, "{means}: only that of the worker is left");
        let groups = hostile.control_groups();
        hostile.up.stop();
        assert!(groups.iter().all(|group| !group.exists()), "{means}: a worker that stops removes its own");
    }
}

/// Waits until everything in `left`, files and control groups, is gone.
async fn wait_until_removed(left: &[PathBuf]) {
    assert!(!left.is_empty());
    wait_until(&format!("{left:?} are removed"), async || left.iter().all(|path| !path.exists())).await;
}

/// G9: the init processes end the programs, or the kernel does; the next worker removes what is left of those that nobody runs any more, and
/// nothing that belongs to a worker that lives.
#[tokio::test]
async fn no_process_is_left_when_the_worker_and_its_supervisors_are_killed_at_once() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let temporary = temporary_directory();
    let mut living = HostileWorker::start("cgroup", temporary.path()).await;
    let id = living.submit("NEW_SESSION", HOURS).await;
    let of_living = [attempt_directories(temporary.path()), living.control_groups()].concat();
    for means in MEANS {
        let mut hostile = HostileWorker::start(means, temporary.path()).await;
        hostile.submit_all(HOURS).await;
        let mut left = [attempt_directories(temporary.path()), hostile.control_groups()].concat();
        left.retain(|path| !of_living.contains(path));
        assert!(left.len() >= PROGRAMS.len(), "{means}");
        // Whoever is stopped does not see the others end.
        let all = [hostile.supervisors(), vec![hostile.up.process().id().to_string()]].concat();
        signal_all("STOP", &all);
        signal_all("KILL", &all);
        wait_until(&format!("{means}: nothing is left"), async || marked(&hostile.mark).is_empty()).await;
        assert!(left.iter().any(|path| path.exists()), "{means}: nobody has removed the directories");
        let _next = HostileWorker::start(means, temporary.path()).await;
        wait_until_removed(&left).await;
    }
    assert!(of_living.iter().all(|path| path.exists()), "{of_living:?}");
    assert!(!marked(&living.mark).is_empty());
    living.user.cancel(id).await;
    living.wait_until_stopped(id).await;
}

/// Without a PID namespace nothing is left that could kill a program if all processes of Tasker are killed. The next worker does.
#[tokio::test]
async fn a_program_that_has_survived_all_processes_of_tasker_is_killed_by_the_next_worker() {
    let _turn = ONE_AT_A_TIME.lock().await;
    for means in ["cgroup", "subreaper"] {
        let temporary = temporary_directory();
        let mut hostile = HostileWorker::start(means, temporary.path()).await;
        hostile.submit("NEW_SESSION", HOURS).await;
        let left = [attempt_directories(temporary.path()), hostile.control_groups()].concat();
        let supervisors = hostile.supervisors();
        let init = children_of(&supervisors, "__supervisor-init$");
        assert_eq!(init.len(), 1, "{means}");
        let all = [init, supervisors, vec![hostile.up.process().id().to_string()]].concat();
        signal_all("STOP", &all);
        signal_all("KILL", &all);
        assert!(!marked(&hostile.mark).is_empty(), "{means}: nobody has killed the program");
        let _next = HostileWorker::start(means, temporary.path()).await;
        wait_until(&format!("{means}: nothing is left"), async || marked(&hostile.mark).is_empty()).await;
        wait_until_removed(&left).await;
    }
}
