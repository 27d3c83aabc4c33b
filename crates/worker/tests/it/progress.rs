//! An operation reports its progress as often as it likes; the worker sends the latest report.

use domain::GrantRef;

use crate::kit::probe_operation::{LONG_TTL, run_worker, settings};
use crate::kit::scripted_backend::{Backend, Fault, PROGRESS};

#[tokio::test]
async fn the_latest_report_of_each_task_is_sent_also_after_a_failed_request() {
    let mut backend = Backend::start();
    backend.fail(PROGRESS, Fault::Unavailable);
    let ids = [backend.add_task("PROBE", "{}", LONG_TTL), backend.add_task("PROBE", "{}", LONG_TTL)];
    let (worker, mut probe) = run_worker(&backend, settings(2));
    let contexts = [probe.started().await, probe.started().await];
    for (percent, message) in [(1, "first"), (2, ""), (250, "two\nlines")] {
        for context in &contexts {
            context.progress(percent, message);
        }
    }
    let sent = [backend.progress().await, backend.progress().await];
    for request in &sent {
        assert_eq!(request.worker.as_str(), "tester");
        assert_eq!(request.progress.len(), 2, "one report of each task: {request:?}");
        for report in &request.progress {
            assert!(ids.contains(&report.id) && report.attempt == 1);
            assert_eq!((report.percent, report.message.as_deref()), (100, Some("two lines")));
        }
    }
    let stopped = GrantRef { id: contexts[0].task(), attempt: 1 };
    backend.stop(stopped);
    contexts[0].stopped().await;
    for context in &contexts {
        context.progress(50, "");
    }
    let left = backend.progress().await.progress;
    assert_eq!(left.len(), 1, "a task that was stopped reports nothing: {left:?}");
    assert_eq!((left[0].id, left[0].message.as_deref()), (contexts[1].task(), None));
    worker.stopped().await;
}
