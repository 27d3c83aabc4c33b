//! The user's calls at the Backend about tasks: list, wait, cancel.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::{
    BulkCancellation, Labels, ListCursor, OperationList, PageRequest, Priority, RawJson, RetryRequest,
    Status, Task, TaskAttemptList, TaskCountsResponse, TaskFilter, TaskId, TaskList, TaskOrder, TaskResult,
    Timestamp, Ttl, TypeName, WorkerList,
};
use reqwest::header::LINK;
use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::{REQUEST_TIMEOUT, Response};

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
    /// The time to live, counted from the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Ttl>,
    /// The task may be claimed from this instant on. Only one of this and `delay_ms` may be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The task may be claimed this many milliseconds after its submission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// How long the task may wait for a grant once it is ready, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_within_ms: Option<u64>,
    /// Labels, to find the task by.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// The priority among the ready tasks of the type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// How many attempts may fail, the first one included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// When the task is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryRequest>,
    /// How long all attempts may take together, in milliseconds from the first claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ttl_ms: Option<u64>,
    /// The task is ready when all of these tasks have finished.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<TaskId>,
    /// The results of tasks of `after` that become members of the parameters, by the names of the members.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters_from: BTreeMap<String, TaskId>,
}

impl<'a> NewTask<'a> {
    /// A task of this type, with nothing else.
    pub fn of_type(type_name: &'a TypeName) -> Self {
        Self {
            type_name,
            parameters: None,
            ttl: None,
            not_before: None,
            delay_ms: None,
            start_within_ms: None,
            labels: Labels::default(),
            priority: None,
            max_attempts: None,
            retry: None,
            total_ttl_ms: None,
            after: Vec::new(),
            parameters_from: BTreeMap::new(),
        }
    }
}

/// A page of a list of tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPage<L> {
    /// The tasks.
    pub list: L,
    /// Where the next page begins; `None`: the list is complete.
    pub next: Option<ListCursor>,
}

impl<L: DeserializeOwned> ListPage<L> {
    /// Reads the page and the address of the next one.
    pub(crate) fn read(answer: &Response) -> Result<Self, ClientError> {
        Ok(Self { list: answer.read()?, next: next_page(answer.header(&LINK)) })
    }
}

/// The conditions of a cancellation: the members of its body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CancelFilter<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    type_name: Option<&'a TypeName>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_after: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_before: Option<Timestamp>,
}

impl Client {
    /// A page of the caller's tasks.
    pub async fn list(&self, page: PageRequest) -> Result<TaskList, ClientError> {
        Ok(self.list_filtered(&TaskFilter::UNFILTERED, page).await?.list)
    }

    /// A page of those of the caller's tasks that `filter` passes. It may have fewer tasks than requested, or none, and a next page.
    pub async fn list_filtered(
        &self,
        filter: &TaskFilter,
        page: PageRequest,
    ) -> Result<ListPage<TaskList>, ClientError> {
        ListPage::read(&self.send(self.request_with_query(&TASKS, list_query(filter, page))).await?)
    }

    /// The numbers of the caller's tasks, by status and type.
    pub async fn counts(&self) -> Result<TaskCountsResponse, ClientError> {
        self.send(self.request(Method::GET, &["api", "Task", "counts"])).await?.read()
    }

    /// Cancels those of the caller's tasks that have not ended and that `filter` passes, as many as one request cancels. Without a
    /// condition it is refused.
    pub async fn cancel_matching(&self, filter: &TaskFilter) -> Result<BulkCancellation, ClientError> {
        let TaskFilter { status, type_name, labels, created_after, created_before, .. } = filter;
        let body = CancelFilter {
            status: *status,
            type_name: type_name.as_ref(),
            labels: Labels(labels.iter().map(|label| (label.key.clone(), label.value.clone())).collect()),
            created_after: *created_after,
            created_before: *created_before,
        };
        self.send(self.request(Method::POST, &["api", "Task", "cancel"]).json(&body)).await?.read()
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

    /// The attempts of a task, the first one first.
    pub async fn attempts(&self, id: TaskId) -> Result<TaskAttemptList, ClientError> {
        self.send(self.request(Method::GET, &["api", "Task", &id.to_string(), "attempts"])).await?.read()
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

/// The parameters of a query that selects a page of tasks.
pub(crate) fn list_query(
    filter: &TaskFilter,
    page: PageRequest,
) -> impl Iterator<Item = (&'static str, String)> + use<'_> {
    let query = [
        ("status", filter.status.map(|status| status.to_string())),
        ("type", filter.type_name.as_ref().map(ToString::to_string)),
        ("createdAfter", filter.created_after.map(|date| date.to_string())),
        ("createdBefore", filter.created_before.map(|date| date.to_string())),
        ("limit", Some(page.limit.to_string())),
        ("before", page.before.map(|before| before.to_string())),
        ("order", (page.order != TaskOrder::default()).then(|| page.order.as_str().to_owned())),
        ("cursor", page.cursor.map(|cursor| cursor.to_string())),
    ];
    let labels = filter.labels.iter().map(|label| ("label", label.to_string()));
    query.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(labels)
}

/// The cursor in the address of the next page (`Link`, RFC 8288).
fn next_page(link: Option<&str>) -> Option<ListCursor> {
    let (address, _) = link?.strip_prefix('<')?.split_once(">; rel=\"next\"")?;
    let (_, query) = address.split_once('?')?;
    query.split('&').find_map(|parameter| parameter.strip_prefix("cursor="))?.parse().ok()
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
