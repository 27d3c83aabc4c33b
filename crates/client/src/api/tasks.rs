//! What a user asks for: submit, look, wait, cancel.

use std::time::{Duration, Instant};

use domain::{OperationList, Page, RawJson, Task, TaskId, TaskList, TaskResult, Ttl, TypeName, WorkerList};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::LIMIT;

/// The longest that one request waits at the Backend; a longer wait is several requests.
const ROUND: Duration = Duration::from_secs(20);

/// Between two looks at a Backend that does not wait.
const PAUSE: Duration = Duration::from_millis(250);

#[derive(Serialize)]
struct Submission<'a> {
    #[serde(rename = "type")]
    name: &'a TypeName,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<&'a RawJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<Ttl>,
}

impl Client {
    /// Submits a task and answers with its id. It is not repeated when its answer is lost: that would be another task.
    pub async fn submit(
        &self,
        name: &TypeName,
        parameters: Option<&RawJson>,
        ttl: Option<Ttl>,
    ) -> Result<TaskId, ClientError> {
        self.send(self.request(Method::POST, &TASKS).json(&Submission { name, parameters, ttl }))
            .await?
            .read()
    }

    /// A page of the caller's tasks, newest first.
    pub async fn list(&self, page: Page) -> Result<TaskList, ClientError> {
        let limit = Some(("limit", page.limit.to_string()));
        let before = page.before.map(|before| ("before", before.to_string()));
        self.send(self.question(&TASKS, limit.into_iter().chain(before))).await?.read()
    }

    /// One task.
    pub async fn get(&self, id: TaskId) -> Result<Task, ClientError> {
        self.send(self.request(Method::GET, &["api", "Task", &id.to_string()])).await?.read()
    }

    /// The task when it has ended, or as it is after `patience`.
    pub async fn wait(&self, id: TaskId, patience: Duration) -> Result<Task, ClientError> {
        let since = Instant::now();
        loop {
            let round = patience.saturating_sub(since.elapsed()).min(ROUND);
            let asked = Instant::now();
            let request = self.request(Method::GET, &["api", "Task", &id.to_string()]);
            let task: Task = self.send(waiting(request, round)).await?.read()?;
            if task.status.is_final() || since.elapsed() >= patience {
                return Ok(task);
            }
            if asked.elapsed() < round {
                tokio::time::sleep(PAUSE.min(patience.saturating_sub(since.elapsed()))).await;
            }
        }
    }

    /// The result of a finished task. Refused with the task's status, and the reason if it was cancelled, when there is
    /// none.
    pub async fn result(&self, id: TaskId) -> Result<TaskResult, ClientError> {
        self.send(self.request(Method::GET, &["api", "Task", &id.to_string(), "result"])).await?.read()
    }

    /// Every type that a task may name.
    pub async fn operations(&self) -> Result<OperationList, ClientError> {
        self.send(self.request(Method::GET, &["api", "Operation"])).await?.read()
    }

    /// The workers that live; for the roles Admin and Worker.
    pub async fn workers(&self) -> Result<WorkerList, ClientError> {
        self.send(self.request(Method::GET, &["api", "Worker"])).await?.read()
    }

    /// Cancels a task; what comes back is final.
    pub async fn cancel(&self, id: TaskId) -> Result<Task, ClientError> {
        self.send(self.request(Method::POST, &["api", "Task", &id.to_string(), "cancel"])).await?.read()
    }
}

const TASKS: [&str; 3] = ["api", "Task", ""];

/// Asks the Backend to wait (RFC 7240), in whole seconds, and gives the request the time for it.
fn waiting(request: RequestBuilder, wait: Duration) -> RequestBuilder {
    match wait.as_millis().div_ceil(1000) {
        0 => request,
        seconds => request.timeout(LIMIT + ROUND).header("Prefer", format!("wait={seconds}")),
    }
}
