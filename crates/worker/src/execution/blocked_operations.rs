//! Finds operations that do not reach their next await.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::GrantRef;

use crate::execution::counted_polls::PollNumber;
use crate::execution::operation_threads::OperationThreads;
use crate::execution::running_tasks::RunningTasks;

/// How long a poll must last at least to be called blocked. It is found before twice this time is over.
pub(crate) const BLOCKED_AFTER: Duration = Duration::from_secs(1);

/// Looks for blocked operations for ever, and has their threads replaced.
pub(crate) async fn watch_operations(running: RunningTasks, threads: Arc<OperationThreads>) {
    let mut before: HashMap<GrantRef, PollNumber> = HashMap::new();
    loop {
        tokio::time::sleep(BLOCKED_AFTER).await;
        let mut now = HashMap::new();
        for task in running.polled() {
            if before.get(&task.grant) == Some(&task.poll) {
                threads.replace_blocked(task.grant.id, &task.name, &task.counter, task.poll);
            }
            now.insert(task.grant, task.poll);
        }
        before = now;
    }
}
