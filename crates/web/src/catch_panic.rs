//! A panic in a handler becomes an answer with status 500 whose cause is logged; the connection and the process go on.

use std::any::Any;

use axum::response::Response;
use domain::Problem;
use domain::problem_types::requests::INTERNAL;
use tower_http::catch_panic::{CatchPanicLayer, ResponseForPanic};

use crate::problem;
use crate::request_log::FailureCause;

/// Answers a panic, see [`layer`].
#[derive(Debug, Clone, Copy)]
pub struct AnswerPanic(fn() -> Response);

/// A layer that answers a panic with `answer`. The panic's message is never sent; it is attached to the answer as its
/// [`FailureCause`], so [`request_log::record`](crate::request_log::record), which must be outside of this layer, logs it.
pub fn layer(answer: fn() -> Response) -> CatchPanicLayer<AnswerPanic> {
    CatchPanicLayer::custom(AnswerPanic(answer))
}

/// The problem document for a panic, for services that answer with problems.
pub fn internal_error() -> Response {
    let detail = "an internal error occurred; it has been logged";
    problem::response(Problem::new(&INTERNAL, detail))
}

impl ResponseForPanic for AnswerPanic {
    type ResponseBody = axum::body::Body;

    fn response_for_panic(&mut self, panic: Box<dyn Any + Send + 'static>) -> Response {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        let mut response = self.0();
        response.extensions_mut().insert(FailureCause::new(format!("a handler panicked: {message}")));
        response
    }
}
