//! The request log: one line for each request, with its route, status, duration, caller and, if it failed, the cause.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request};
use axum::http::{Extensions, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use domain::Problem;
use telemetry::error_chain;
use tracing::field::display;
use tracing::{Level, debug, error, info};

use crate::client_address::ClientAddress;
use crate::request_id::RequestId;
use crate::request_metrics::method_label;

/// The id of the caller (an account, a client), as far as the request's log line is concerned. The request's extensions hold it
/// from the start, empty; whoever authenticates the caller fills it in.
#[derive(Debug, Clone, Default)]
pub struct CallerId(Arc<OnceLock<String>>);

/// Why a request failed, with everything that caused it: in the answer's extensions, for the log only, never sent.
#[derive(Debug, Clone)]
pub struct FailureCause(Arc<str>);

/// In the answer's extensions: the route is called so often that its successes are not worth a line at `info`.
#[derive(Debug, Clone, Copy)]
struct LogAtDebug;

impl CallerId {
    /// Notes who sent the request with these extensions; the first id counts. Without [`record`] nothing happens.
    pub fn set(extensions: &Extensions, id: impl Into<String>) {
        if let Some(Self(cell)) = extensions.get() {
            cell.get_or_init(|| id.into());
        }
    }
}

impl FailureCause {
    /// A cause as a sentence.
    pub fn new(cause: impl Into<Arc<str>>) -> Self {
        Self(cause.into())
    }

    /// Attaches an error and its sources to the answer that it led to. An error's `into_response` calls this instead of logging:
    ///
    /// ```
    /// use axum::response::{IntoResponse, Response};
    /// use web::catch_panic::internal_error;
    /// use web::request_log::FailureCause;
    ///
    /// struct ApiError(std::io::Error);
    ///
    /// impl IntoResponse for ApiError {
    ///     fn into_response(self) -> Response {
    ///         let mut response = internal_error();
    ///         FailureCause::attach(&mut response, &self.0);
    ///         response
    ///     }
    /// }
    /// ```
    pub fn attach(response: &mut Response, error: &dyn Error) {
        response.extensions_mut().insert(Self::new(error_chain(error)));
    }
}

/// Middleware that writes the line: method, route (the template that matched, or `unmatched`; never the path, which holds ids),
/// status, duration until the answer's head in milliseconds, request id, client's address (if
/// [`client_address::determine`](crate::client_address::determine) is outside), caller's id, the problem's kind, and the cause of a
/// failure, which is logged here and nowhere else.
///
/// The level: `error` for a 5xx with a [`FailureCause`]; `info` for any other failure (4xx, 5xx) and for what may have changed
/// something; `debug` for the rest. See [`log_at_debug`] for routes that are called all the time. A request whose client disconnects
/// before the answer leaves no line.
pub async fn record(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let caller = CallerId::default();
    request.extensions_mut().insert(caller.clone());
    let entry = Entry {
        method: request.method().clone(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        id: request.extensions().get::<RequestId>().cloned(),
        client: request.extensions().get::<ClientAddress>().copied(),
        caller,
    };
    let response = next.run(request).await;
    entry.log(&response, started.elapsed());
    response
}

/// Middleware for routes that are called all the time (long polls, heartbeats, health checks, metrics): below status 500 their
/// lines are at `debug`, whatever they change.
pub async fn log_at_debug(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(LogAtDebug);
    response
}

/// What is known of a request before it is handled, and the caller's id, which becomes known meanwhile.
struct Entry {
    method: Method,
    route: Option<MatchedPath>,
    id: Option<RequestId>,
    client: Option<ClientAddress>,
    caller: CallerId,
}

impl Entry {
    fn log(&self, response: &Response, duration: Duration) {
        let method = method_label(&self.method);
        let route = self.route.as_ref().map_or("unmatched", MatchedPath::as_str);
        let status = response.status().as_u16();
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let id = self.id.as_ref().map(RequestId::as_str);
        let client = self.client.map(|ClientAddress(address)| display(address));
        let caller = self.caller.0.get().map(String::as_str);
        let problem = response.extensions().get::<Problem>().map(Problem::slug);
        let cause = response.extensions().get::<FailureCause>().map(|cause| &*cause.0);
        let at_debug = response.extensions().get::<LogAtDebug>().is_some();
        // The macros take their level from the call, so each level needs a call of its own.
        macro_rules! line {
            ($event:ident) => {
                $event!(
                    http.request.method = method,
                    http.route = route,
                    http.response.status_code = status,
                    duration_ms,
                    request.id = id,
                    client.address = client,
                    caller.id = caller,
                    problem,
                    error = cause,
                    "{method} {route} was answered with {status}"
                )
            };
        }
        match level(&self.method, response.status(), at_debug, cause.is_some()) {
            Level::ERROR => line!(error),
            Level::INFO => line!(info),
            _ => line!(debug),
        }
    }
}

fn level(method: &Method, status: StatusCode, at_debug: bool, has_cause: bool) -> Level {
    let is_change = matches!(*method, Method::POST | Method::PUT | Method::PATCH | Method::DELETE);
    if status.is_server_error() {
        if has_cause { Level::ERROR } else { Level::INFO }
    } else if !at_debug && (status.is_client_error() || is_change) {
        Level::INFO
    } else {
        Level::DEBUG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_method_status_and_cause() {
        for (method, status, at_debug, has_cause, expected) in [
            (Method::GET, 200, false, false, Level::DEBUG),
            (Method::HEAD, 304, false, false, Level::DEBUG),
            (Method::GET, 404, false, false, Level::INFO),
            (Method::POST, 201, false, false, Level::INFO),
            (Method::DELETE, 204, false, false, Level::INFO),
            (Method::POST, 200, true, false, Level::DEBUG),
            (Method::PATCH, 409, true, false, Level::DEBUG),
            (Method::POST, 503, true, false, Level::INFO),
            (Method::GET, 503, false, false, Level::INFO),
            (Method::GET, 500, false, true, Level::ERROR),
            (Method::POST, 503, true, true, Level::ERROR),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(level(&method, status, at_debug, has_cause), expected, "{method} {status} {at_debug}");
        }
    }
}
