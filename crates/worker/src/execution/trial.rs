//! Runs an operation once, without a Backend: to try a declaration before a worker has it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use domain::{ClaimId, Grant, RawJson, TaskId, Ttl, TypeName};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::execution::counted_polls::PollCounter;
use crate::execution::operation_threads::OperationThreads;
use crate::execution::run::Run;
use crate::execution::run_outcome::RunOutcome;
use crate::registry::operations::Operations;
use crate::reporting::progress_reporter::ProgressQueue;
use crate::sdk::context::Context;

/// How an operation ended that was run once.
#[derive(Debug)]
pub struct Trial {
    /// The result, or why there is none.
    pub end: TrialEnd,
    /// How long it took.
    pub took: Duration,
}

/// The end of an operation that was run once.
#[derive(Debug)]
pub enum TrialEnd {
    /// It returned this.
    Result(RawJson),
    /// It failed with this error.
    Failed(String),
    /// It was stopped at its deadline.
    Expired,
}

impl Operations {
    /// Runs the operation `name` once with `parameters`, as the only attempt of a task with the time to live `ttl`. `None` if there is no such
    /// operation.
    ///
    /// # Errors
    ///
    /// If no threads can be started.
    pub async fn try_once(
        &self,
        name: &TypeName,
        parameters: RawJson,
        ttl: Ttl,
    ) -> io::Result<Option<Trial>> {
        let Some(operation) = self.find(name) else { return Ok(None) };
        let threads = OperationThreads::start()?;
        let grant = Grant {
            id: TaskId(Uuid::new_v4()),
            type_name: name.clone(),
            parameters: None,
            attempt: 1,
            claim: ClaimId(Uuid::nil()),
            remaining_ms: ttl.millis(),
            trace: None,
        };
        let began = SuspendAwareInstant::now();
        let deadline = Deadline::of(began, 0, grant.remaining_ms);
        let context =
            Context::new(&grant, deadline, CancellationToken::new(), None, ProgressQueue::default());
        let run = Run {
            operation: &operation,
            parameters: Some(parameters),
            context,
            polls: Arc::new(PollCounter::default()),
            release: &CancellationToken::new(),
        };
        let ended = run.until_ended(&threads).await;
        let end = match ended.outcome.limit_size() {
            RunOutcome::Result(result) => TrialEnd::Result(result),
            RunOutcome::Failed(failure) => TrialEnd::Failed(failure.to_string()),
            RunOutcome::DeadlineExceeded(_) | RunOutcome::Stopped(_) | RunOutcome::Released => {
                TrialEnd::Expired
            }
        };
        Ok(Some(Trial { end, took: began.elapsed() }))
    }
}
