//! The user's streams of events at the Backend: what happens to tasks, as it happens.

use std::time::Duration;

use domain::{TaskEvent, TaskId};
use reqwest::Method;
use reqwest::header::ACCEPT;
use tokio::time::timeout;

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::{self, connection_error};

/// How long a stream may be silent. The Backend sends a comment every 15 seconds.
const MAX_SILENCE: Duration = Duration::from_secs(40);

/// The timeout of the whole request: longer than any token is valid.
const STREAM_TIMEOUT: Duration = Duration::from_hours(48);

/// The longest event that is read, in bytes. An event of the Backend has a few hundred.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// An open stream of events (the HTML standard, section 9.2).
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    received: Vec<u8>,
    last_id: Option<String>,
}

/// What a stream has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// Something has happened to a task.
    Event(Box<TaskEvent>),
    /// Events may be missing: read the tasks.
    Reset,
}

impl Client {
    /// Follows one task: the first event has the task as it is, the stream ends after its end.
    pub async fn follow_task(&self, id: TaskId) -> Result<EventStream, ClientError> {
        self.follow(&["api", "Task", &id.to_string(), "events"], None).await
    }

    /// Follows all of the caller's tasks, after the event with the id `last` where the Backend still has it.
    pub async fn follow_tasks(&self, last: Option<&str>) -> Result<EventStream, ClientError> {
        self.follow(&["api", "Task", "events"], last).await
    }

    /// Follows the tasks of everybody; needs the role Admin.
    pub async fn follow_all_tasks(&self, last: Option<&str>) -> Result<EventStream, ClientError> {
        self.follow(&["api", "Admin", "Task", "events"], last).await
    }

    async fn follow(&self, path: &[&str], last: Option<&str>) -> Result<EventStream, ClientError> {
        let request =
            self.request(Method::GET, path).header(ACCEPT, "text/event-stream").timeout(STREAM_TIMEOUT);
        let request = if let Some(last) = last { request.header("Last-Event-ID", last) } else { request };
        let response = self.send_with(request, transport::open).await?;
        Ok(EventStream { response, received: Vec::new(), last_id: last.map(str::to_owned) })
    }
}

impl EventStream {
    /// The id of the last event, to follow the tasks from there on.
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next item; `None` when the stream has ended, or has been silent for too long. Fails if the connection breaks. The future may
    /// be dropped without losing an item.
    pub async fn next(&mut self) -> Result<Option<StreamItem>, ClientError> {
        loop {
            while let Some(end) = self.received.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.received.drain(..end + 2).collect();
                if let Some(item) = self.read(&String::from_utf8_lossy(&block)) {
                    return Ok(Some(item));
                }
            }
            match timeout(MAX_SILENCE, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) if self.received.len() + chunk.len() <= MAX_EVENT_BYTES => {
                    self.received.extend_from_slice(&chunk);
                }
                Ok(Ok(_)) | Err(_) => return Ok(None),
                Ok(Err(error)) => return Err(connection_error(error)),
            }
        }
    }

    /// The item of a block of lines; `None` for a comment, and for a kind of event that this version does not know.
    fn read(&mut self, block: &str) -> Option<StreamItem> {
        let field = |name: &str| {
            let value = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            value.map(|value| value.strip_prefix(' ').unwrap_or(value))
        };
        if let Some(id) = field("id") {
            self.last_id = Some(id.to_owned()).filter(|id| !id.is_empty());
        }
        match field("event")? {
            "reset" => Some(StreamItem::Reset),
            _ => serde_json::from_str(field("data")?).ok().map(StreamItem::Event),
        }
    }
}
