//! The body of an answer with server-sent events (the HTML standard, section 9.2).

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use domain::{OwnerId, TaskEvent, TaskEventKind, TaskId};
use futures_util::{StreamExt, stream};
use telemetry::error_chain;
use tokio::time::{Instant, sleep_until};

use crate::app::AppState;
use crate::auth::caller::Caller;
use crate::events::broadcaster::{Message, Subscription};
use crate::events::recent_events::PublishedEvent;

/// The id of the event `ended` in the stream about its task.
pub(crate) const END_OF_TASK: &str = "ended";

/// How often a comment is sent, so that neither side takes an idle connection for a broken one; also how often the token is checked.
const HEARTBEAT_PERIOD: Duration = Duration::from_secs(15);

/// A comment: clients ignore it.
const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// Tells a client that it may have missed events. The empty id makes it forget the last one.
const RESET: &str = "id:\nevent: reset\ndata: {}\n\n";

/// The most events that are sent in one piece.
const MAX_EVENTS_PER_CHUNK: usize = 64;

/// Tells nginx not to collect the answer before it passes it on.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A stream of events for one reader.
pub(crate) struct EventStream {
    app: Arc<AppState>,
    caller: Caller,
    subscription: Subscription,
    reader: Reader,
    next_heartbeat: Instant,
    is_over: bool,
}

/// What a reader sees.
pub(crate) enum Reader {
    /// The events of one task of `owner`.
    Task {
        owner: OwnerId,
        id: TaskId,
        /// The task as it was read before the stream began, to be sent first.
        now: Option<Box<TaskEvent>>,
        /// The last event that was sent.
        last: Option<Box<TaskEvent>>,
    },
    /// The events of the reader's own tasks.
    Owner,
    /// The events of all tasks, as operators see them.
    Operator,
}

impl EventStream {
    /// A stream for the bearer of a token, which ends when the token does.
    pub(crate) fn new(
        app: Arc<AppState>,
        caller: Caller,
        subscription: Subscription,
        reader: Reader,
    ) -> Self {
        let next_heartbeat = Instant::now() + HEARTBEAT_PERIOD;
        Self { app, caller, subscription, reader, next_heartbeat, is_over: false }
    }

    /// The next piece of the body; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if let Reader::Task { now, last, .. } = &mut self.reader
            && let Some(event) = now.take()
        {
            let text = text_of_task_event(&event);
            self.is_over = event.event == TaskEventKind::Ended;
            *last = Some(event);
            return Some(text.into());
        }
        while !self.is_over {
            let valid_for = self.app.token_verifier.remaining(&self.caller);
            let token_end = Instant::now() + valid_for.min(HEARTBEAT_PERIOD * 2);
            let messages = tokio::select! {
                biased;
                () = self.app.stop.cancelled() => return None,
                () = sleep_until(token_end) => return None,
                () = sleep_until(self.next_heartbeat) => {
                    self.next_heartbeat = Instant::now() + HEARTBEAT_PERIOD;
                    return Some(COMMENT);
                }
                messages = self.subscription.next(MAX_EVENTS_PER_CHUNK) => messages,
            };
            if self.app.token_verifier.remaining(&self.caller).is_zero() {
                return None;
            }
            if messages.is_empty() {
                tracing::debug!(
                    owner.id = self.caller.subject(),
                    "an event stream has ended: its reader is too slow"
                );
                return None;
            }
            let mut text = String::new();
            for message in messages {
                match message {
                    Message::Event(event) => self.add(&event, &mut text),
                    Message::Missed => self.add_missed(&mut text).await,
                }
            }
            if !text.is_empty() {
                return Some(text.into());
            }
        }
        None
    }

    fn add(&mut self, published: &PublishedEvent, text: &mut String) {
        match &mut self.reader {
            Reader::Task { last, .. } => {
                let event = &published.event;
                if !self.is_over && last.as_ref().is_none_or(|last| event.follows(last)) {
                    self.is_over = event.event == TaskEventKind::Ended;
                    text.push_str(&text_of_task_event(event));
                    *last = Some(Box::new(event.clone()));
                }
            }
            Reader::Owner => add_event(text, published, &published.event),
            Reader::Operator => {
                add_event(text, published, &published.event.for_operators(published.owner));
            }
        }
    }

    /// Events may have been missed: a stream about one task is told how the task is now, the others that they must read the list.
    async fn add_missed(&mut self, text: &mut String) {
        let Reader::Task { owner, id, last, .. } = &mut self.reader else { return text.push_str(RESET) };
        match self.app.store.last_event(*owner, *id).await {
            Ok(Some(event)) => {
                if last.as_ref().is_none_or(|last| event.follows(last)) {
                    self.is_over = event.event == TaskEventKind::Ended;
                    text.push_str(&text_of_task_event(&event));
                    *last = Some(Box::new(event));
                }
            }
            // It was deleted long after its end.
            Ok(None) => self.is_over = true,
            Err(error) => {
                // The client connects again, and is answered with what is wrong.
                tracing::debug!(task.id = %id, error = %error_chain(&error), "an event stream has ended: its task cannot be read");
                self.is_over = true;
            }
        }
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let chunks = stream::unfold(self, |mut stream| async move {
            let chunk = stream.next().await?;
            Some((Ok::<_, Infallible>(chunk), stream))
        });
        let headers =
            [(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store"), (X_ACCEL_BUFFERING, "no")];
        // Fused, since a body may be polled after its end.
        (headers, Body::from_stream(chunks.fuse())).into_response()
    }
}

fn add_event(text: &mut String, published: &PublishedEvent, event: &TaskEvent) {
    let id = published.id.simple();
    write!(text, "id: {id}\nevent: {}\ndata: {}\n\n", event.event, json(event))
        .expect("a string takes any text");
}

/// An event in a stream about its task. Only the last one has an id: the stream begins with the task as it is in any case.
fn text_of_task_event(event: &TaskEvent) -> String {
    let id = if event.event == TaskEventKind::Ended { format!("id: {END_OF_TASK}\n") } else { String::new() };
    format!("{id}event: {}\ndata: {}\n\n", event.event, json(event))
}

/// The event as JSON, in one line.
fn json(event: &TaskEvent) -> String {
    serde_json::to_string(event).expect("an event is JSON")
}
