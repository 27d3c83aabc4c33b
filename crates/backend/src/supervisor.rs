//! The Backend's own tasks: none may end before the stop, and the end of one is the end of all.

use std::collections::HashMap;

use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// A part of the Backend broke; what is left cannot serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the Backend's {part} {end}; it cannot serve without")]
pub struct BackgroundTaskFailed {
    part: &'static str,
    end: &'static str,
}

/// The tasks that run, each with its name.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    running: JoinSet<()>,
    names: HashMap<Id, &'static str>,
}

impl Parts {
    pub(crate) fn spawn(&mut self, part: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.running.spawn(task).id();
        self.names.insert(id, part);
    }

    /// Returns when `stop` has rung and all have ended, or as soon as one of them breaks; the others end with it.
    pub(crate) async fn live(mut self, stop: &CancellationToken) -> Result<(), BackgroundTaskFailed> {
        while let Some(ended) = self.running.join_next_with_id().await {
            let (id, end) = match &ended {
                Ok((_, ())) if stop.is_cancelled() => continue,
                Ok((id, ())) => (*id, "ended by itself"),
                Err(error) => (error.id(), "panicked"),
            };
            return Err(BackgroundTaskFailed { part: self.names.get(&id).copied().unwrap_or("task"), end });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part that does as it should, beside one that does not.
    fn beside(stop: &CancellationToken, other: impl Future<Output = ()> + Send + 'static) -> Parts {
        let mut parts = Parts::default();
        parts.spawn("sweep", stop.clone().cancelled_owned());
        parts.spawn("other", other);
        parts
    }

    #[tokio::test]
    async fn a_part_that_panics_or_ends_by_itself_ends_the_rest_at_once() {
        let stop = CancellationToken::new();
        let dead = beside(&stop, async { panic!("a test's own") }).live(&stop).await;
        assert_eq!(dead, Err(BackgroundTaskFailed { part: "other", end: "panicked" }));
        let dead = beside(&stop, async {}).live(&stop).await;
        assert_eq!(
            dead.unwrap_err().to_string(),
            "the Backend's other ended by itself; it cannot serve without"
        );
    }

    #[tokio::test]
    async fn after_a_stop_all_may_end_and_a_panic_is_told_all_the_same() {
        let stop = CancellationToken::new();
        stop.cancel();
        assert_eq!(beside(&stop, async {}).live(&stop).await, Ok(()));
        let dead = beside(&stop, async { panic!("a test's own") }).live(&stop).await;
        assert!(dead.is_err());
    }
}
