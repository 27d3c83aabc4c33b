//! The user's calls at the Backend about tasks: list, wait, cancel.

use std::time::{Duration, Instant};

use domain::{
    OperationList, PageRequest, RawJson, Task, TaskFilter, TaskId, TaskList, TaskResult, Timestamp, Ttl,
    TypeName, WorkerList,
};
use reqwest::{Method, RequestBuilder};
use serde::Serialize;

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::REQUEST_TIMEOUT;

/// How long one request waits at the Backend; a longer wait is several requests.
const MAX_WAIT_PER_REQUEST: Duration = Duration::from_secs(20);

/// Pause between two requests to a Backend that answers without waiting.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The path of the task collection.
pub(crate) const TASKS: [&str; 3] = ["api", "Task", ""];

/// A task to submit. What is `None` is left to the operation and to the Backend.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NewTask<'a> {
    /// The type: the name of the operation.
    #[serde(rename = "type")]
    pub type_name: &'a TypeName,
    /// The operation's parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<&'a RawJson>,
    /// The time to live, counted from the claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// The task may be claimed from this instant on. Only one of this and `delay_ms` may be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The task may be claimed this many milliseconds after its submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// How long the task may wait for a claim once it is ready, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_within_ms: Option<u64>,
}

impl<'a> NewTask<'a> {
    /// A task of this type, with nothing else.
    pub const fn of_type(type_name: &'a TypeName) -> Self {
        Self {
            type_name,
            parameters: None,
            ttl: None,
            not_before: None,
            delay_ms: None,
            start_within_ms: None,
        }
    }
}

impl Client {
    /// A page of the caller's tasks, newest first.
    pub async fn list(&self, page: PageRequest) -> Result<TaskList, ClientError> {
        self.list_filtered(&TaskFilter::ALL, page).await
    }

    /// A page of those of the caller's tasks that `filter` passes, newest first.
    pub async fn list_filtered(
        &self,
        filter: &TaskFilter,
        page: PageRequest,
    ) -> Result<TaskList, ClientError> {
        let query = [
            ("status", filter.status.map(|status| status.to_string())),
            ("type", filter.type_name.as_ref().map(ToString::to_string)),
            ("from", filter.from.map(|from| from.to_string())),
            ("limit", Some(page.limit.to_string())),
            ("before", page.before.map(|before| before.to_string())),
        ];
        let query = query.into_iter().filter_map(|(name, value)| Some((name, value?)));
        self.send(self.get_with_query(&TASKS, query)).await?.read()
    }

    /// One task.
    pub async fn get(&self, id: TaskId) -> Result<Task, ClientError> {
        self.send(self.request(Method::GET, &["api", "Task", &id.to_string()])).await?.read()
    }

    /// Waits until the task has ended, for at most `timeout`, and returns it as it is then.
    pub async fn wait(&self, id: TaskId, timeout: Duration) -> Result<Task, ClientError> {
        let began = Instant::now();
        loop {
            let wait = timeout.saturating_sub(began.elapsed()).min(MAX_WAIT_PER_REQUEST);
            let sent = Instant::now();
            let request = self.request(Method::GET, &["api", "Task", &id.to_string()]);
            let task: Task = self.send(with_wait(request, wait)).await?.read()?;
            if task.status.is_final() || began.elapsed() >= timeout {
                return Ok(task);
            }
            if sent.elapsed() < wait {
                tokio::time::sleep(POLL_INTERVAL.min(timeout.saturating_sub(began.elapsed()))).await;
            }
        }
    }

    /// The result of a finished task. Without a result it fails with a problem that has the task's status, and the reason if
    /// the task was cancelled.
    pub async fn result(&self, id: TaskId) -> Result<TaskResult, ClientError> {
        self.send(self.request(Method::GET, &["api", "Task", &id.to_string(), "result"])).await?.read()
    }

    /// All registered operations, that is, every type that a task may have.
    pub async fn operations(&self) -> Result<OperationList, ClientError> {
        self.send(self.request(Method::GET, &["api", "Operation"])).await?.read()
    }

    /// The live workers; needs the role Admin or Worker.
    pub async fn workers(&self) -> Result<WorkerList, ClientError> {
        self.send(self.request(Method::GET, &["api", "Worker"])).await?.read()
    }

    /// Cancels a task and returns it in its final state.
    pub async fn cancel(&self, id: TaskId) -> Result<Task, ClientError> {
        self.send(self.request(Method::POST, &["api", "Task", &id.to_string(), "cancel"])).await?.read()
    }
}

/// Adds `Prefer: wait` (RFC 7240) in whole seconds, rounded up, and lengthens the request's timeout.
fn with_wait(request: RequestBuilder, wait: Duration) -> RequestBuilder {
    match wait.as_millis().div_ceil(1000) {
        0 => request,
        seconds => request
            .timeout(REQUEST_TIMEOUT + MAX_WAIT_PER_REQUEST)
            .header("Prefer", format!("wait={seconds}")),
    }
}
