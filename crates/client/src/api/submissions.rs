//! Submissions: sent again when their answer is lost, under a key with which they are accepted once.

use std::time::{Duration, Instant};

use domain::{IdempotencyKey, RawJson, TaskId};
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};

use crate::api::tasks::{NewTask, TASKS};
use crate::backoff::Backoff;
use crate::client::Client;
use crate::error::ClientError;
use crate::transport::Response;

/// The header of the key (draft-ietf-httpapi-idempotency-key-header).
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// How long a submission is sent again whose answer is lost.
const MAX_RESEND_TIME: Duration = Duration::from_secs(15);

/// The tasks of a batch.
#[derive(Serialize)]
struct NewTasks<'a> {
    tasks: &'a [RawJson],
}

/// The answer to a batch.
#[derive(Deserialize)]
struct AcceptedBatch {
    ids: Vec<TaskId>,
}

impl Client {
    /// Submits a task under a random key and returns its id. If the answer is lost, the request is sent again, for 15 seconds at most: it
    /// makes one task.
    pub async fn submit(&self, task: &NewTask<'_>) -> Result<TaskId, ClientError> {
        self.submit_with_key(task, &IdempotencyKey::random()).await
    }

    /// The same under a key of the caller's own: if a task was submitted under it within the last 24 hours, returns the id of that task, or
    /// fails if it was another one.
    pub async fn submit_with_key(
        &self,
        task: &NewTask<'_>,
        key: &IdempotencyKey,
    ) -> Result<TaskId, ClientError> {
        self.send_until_answered(self.request(Method::POST, &TASKS).json(task), key).await?.read()
    }

    /// Submits a task without a key. If the answer is lost, the task may be accepted or not; the request is not sent again.
    pub async fn submit_once(&self, task: &NewTask<'_>) -> Result<TaskId, ClientError> {
        self.send(self.request(Method::POST, &TASKS).json(task)).await?.read()
    }

    /// Submits up to 1,000 tasks, each a JSON object as [`NewTask`] is written, all of them or none. Returns their ids in the same order.
    /// Sent again like [`Client::submit`].
    pub async fn submit_batch(
        &self,
        tasks: &[RawJson],
        key: &IdempotencyKey,
    ) -> Result<Vec<TaskId>, ClientError> {
        let request = self.request(Method::POST, &["api", "Task", "batch"]).json(&NewTasks { tasks });
        let AcceptedBatch { ids } = self.send_until_answered(request, key).await?.read()?;
        Ok(ids)
    }

    /// Submits the content of a task again and returns the id of the new task. Sent again like [`Client::submit`].
    pub async fn rerun(&self, id: TaskId, key: &IdempotencyKey) -> Result<TaskId, ClientError> {
        let request = self.request(Method::POST, &["api", "Task", &id.to_string(), "rerun"]);
        self.send_until_answered(request, key).await?.read()
    }

    async fn send_until_answered(
        &self,
        request: RequestBuilder,
        key: &IdempotencyKey,
    ) -> Result<Response, ClientError> {
        let request = request.header(IDEMPOTENCY_KEY, key.to_header());
        let (began, mut backoff, mut may_be_accepted) = (Instant::now(), Backoff::default(), false);
        loop {
            let copy = request.try_clone().expect("a body in memory can be cloned");
            let error = match self.send(copy).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            may_be_accepted |= error.leaves_outcome_unknown();
            let pause = backoff.pause_after(&error);
            let is_worthwhile = may_be_accepted && error.is_temporary() || error.is_submission_under_way();
            if !is_worthwhile || began.elapsed() + pause > MAX_RESEND_TIME {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
        }
    }
}
