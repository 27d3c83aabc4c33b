//! A client that reads server-sent events.

use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;

use crate::kit::openapi_checked_client::ApiClient;

/// The longest that a test waits for an event.
const EVENT_LIMIT: Duration = Duration::from_secs(30);

/// An open stream of events.
pub(crate) struct EventReader {
    response: reqwest::Response,
    received: String,
}

/// An event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SentEvent {
    pub(crate) id: Option<String>,
    pub(crate) kind: String,
    pub(crate) data: Value,
}

impl EventReader {
    /// Opens the stream at `path`, after the event `last` if there is one.
    pub(crate) async fn open(client: &ApiClient<'_>, path: &str, last: Option<&str>) -> Self {
        let request =
            client.http.get(format!("{}{path}", client.url)).bearer_auth(client.token.as_ref().unwrap());
        let request = if let Some(last) = last { request.header("Last-Event-ID", last) } else { request };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert!(headers["cache-control"] == "no-store" && headers["x-accel-buffering"] == "no");
        assert!(!headers.contains_key("content-encoding"));
        Self { response, received: String::new() }
    }

    /// The next event; `None` at the end of the stream. Comments are ignored.
    pub(crate) async fn next(&mut self) -> Option<SentEvent> {
        loop {
            while let Some((block, rest)) = self.received.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.received = rest;
                if let Some(event) = parse(&block) {
                    return Some(event);
                }
            }
            let chunk = timeout(EVENT_LIMIT, self.response.chunk()).await.expect("an event comes in time");
            self.received.push_str(str::from_utf8(&chunk.unwrap()?).unwrap());
        }
    }

    /// The next event, which must be of this kind.
    pub(crate) async fn expect(&mut self, kind: &'static str) -> SentEvent {
        let event = self.next().await.expect("the stream goes on");
        assert_eq!(event.kind, kind, "{event:?}");
        event
    }
}

/// The event of a block of lines; `None` for a comment.
fn parse(block: &str) -> Option<SentEvent> {
    let field = |name: &str| {
        let value = block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(|value| value.trim_start().to_owned())
    };
    let data = serde_json::from_str(&field("data")?).unwrap();
    Some(SentEvent { id: field("id").filter(|id| !id.is_empty()), kind: field("event")?, data })
}
