//! Runs the Backend's background tasks: none may end before the stop, and the end of one ends all.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// A background task of the Backend has ended although nobody stopped it; the Backend cannot serve without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Backend's background task \"{name}\" {end}; the Backend cannot serve without it")]
pub struct BackgroundTaskFailed {
    name: &'static str,
    end: &'static str,
}

/// The running background tasks, each with its name.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Supervisor {
    /// Starts a task. `name` appears in the error if the task ends too early.
    pub(crate) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, name);
    }

    /// Returns when `stop` is cancelled and every task has ended. Fails as soon as a task panics, or ends before `stop` is
    /// cancelled; the other tasks are aborted then.
    pub(crate) async fn join(mut self, stop: &CancellationToken) -> Result<(), BackgroundTaskFailed> {
        while let Some(ended) = self.running.join_next_with_id().await {
            let (id, end) = match &ended {
                Ok((_, ())) if stop.is_cancelled() => continue,
                Ok((id, ())) => (*id, "ended before the stop"),
                Err(error) => (error.id(), "panicked"),
            };
            let name = self.names.get(&id).copied().unwrap_or("unnamed");
            return Err(BackgroundTaskFailed { name, end });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A task that ends at the stop, and `other` beside it.
    fn supervised(stop: &CancellationToken, other: impl Future<Output = ()> + Send + 'static) -> Supervisor {
        let mut supervisor = Supervisor::default();
        supervisor.spawn("pruner", stop.clone().cancelled_owned());
        supervisor.spawn("other", other);
        supervisor
    }

    #[tokio::test]
    async fn a_task_that_panics_or_ends_early_ends_the_others_at_once() {
        let stop = CancellationToken::new();
        let failed = supervised(&stop, async { panic!("on purpose") }).join(&stop).await;
        assert_eq!(failed, Err(BackgroundTaskFailed { name: "other", end: "panicked" }));
        let failed = supervised(&stop, async {}).join(&stop).await;
        assert_eq!(
            failed.unwrap_err().to_string(),
            "the Backend's background task \"other\" ended before the stop; the Backend cannot serve without it"
        );
    }

    #[tokio::test]
    async fn after_the_stop_every_task_may_end_but_a_panic_is_still_an_error() {
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(supervised(&stop, async {}).join(&stop).await, Ok(()));
        let failed = supervised(&stop, async { panic!("on purpose") }).join(&stop).await;
        assert!(failed.is_err());
    }
}
