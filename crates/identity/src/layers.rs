//! The layers around the routes: time limit, refusal of cross-site requests, panics, request log, security headers.

use std::iter;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use domain::Problem;
use domain::problem_types::accounts::CROSS_SITE;
use tracing::Instrument;
use web::security_headers::{self, SecurityHeaders};
use web::timeout::{self, TimeLimit};
use web::{
    catch_panic, client_address, cors, csrf, hsts, problem, request_encoding, request_id, request_log,
};

use crate::app::App;
use crate::error::ServiceFailure;
use crate::oauth::error::TokenError;
use crate::page_policy::content_security_policy;
use crate::pages::error::PageError;
use crate::settings::Settings;

/// The largest body in bytes; every form is smaller.
const MAX_BODY_BYTES: usize = 16 * 1024;

const CROSS_ORIGIN_OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// The longest time that a request may take. A sign-in that waits for 64 others takes a few seconds.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// How the layers answer when a request does not reach its handler, or the handler does not answer.
#[derive(Clone, Copy)]
pub(crate) struct LayerResponses {
    timed_out: fn() -> Response,
    panicked: fn() -> Response,
    cross_site: fn() -> Response,
    unsupported_encoding: fn() -> Response,
}

/// Answers with error pages, for browsers.
const PAGE_RESPONSES: LayerResponses = LayerResponses {
    timed_out: || PageError::from(ServiceFailure::TimedOut).into_response(),
    panicked: || PageError::from(ServiceFailure::Panicked).into_response(),
    cross_site: || PageError::CrossSite.into_response(),
    unsupported_encoding: || PageError::Encoding.into_response(),
};

/// Answers with problem documents, for programs.
pub(crate) const PROBLEM_RESPONSES: LayerResponses = LayerResponses {
    timed_out: || ServiceFailure::TimedOut.problem_response(),
    panicked: || ServiceFailure::Panicked.problem_response(),
    cross_site: || {
        let detail = "a browser sent this request from another site";
        problem::response(Problem::new(&CROSS_SITE, detail))
    },
    unsupported_encoding: request_encoding::problem,
};

/// Answers with the errors of OAuth 2 (RFC 6749, section 5.2), for clients at the token endpoint.
pub(crate) const OAUTH_ERROR_RESPONSES: LayerResponses = LayerResponses {
    timed_out: || TokenError::Service(ServiceFailure::TimedOut).into_response(),
    panicked: || TokenError::Service(ServiceFailure::Panicked).into_response(),
    cross_site: || TokenError::CrossSite.into_response(),
    unsupported_encoding: || TokenError::Encoding.into_response(),
};

/// Puts the layers around routes for programs, which pages of `cors_origins` may call too.
pub(crate) fn guard_api(routes: Router, answers: LayerResponses, settings: &Settings) -> Router {
    guard(routes, answers, settings, &settings.cors_origins).layer(cors::layer(&settings.cors_origins))
}

/// Puts the layers around pages, which only pages of Identity itself may post to.
pub(crate) fn guard_pages(routes: Router, settings: &Settings) -> Router {
    guard(routes, PAGE_RESPONSES, settings, &[])
}

/// Puts the layers that answer by themselves around routes of one kind.
fn guard(routes: Router, answers: LayerResponses, settings: &Settings, origins: &[String]) -> Router {
    let origins = iter::once(&settings.issuer).chain(origins).map(String::as_str);
    let csrf = csrf::layer(origins, answers.cross_site).expect("the settings were checked");
    let time_limit = TimeLimit::new(TIME_LIMIT, answers.timed_out);
    // The outermost first.
    request_encoding::decode(routes, answers.unsupported_encoding).layer((
        catch_panic::layer(answers.panicked),
        csrf,
        from_fn_with_state(time_limit, timeout::enforce),
        DefaultBodyLimit::max(MAX_BODY_BYTES),
    ))
}

/// Leaves the window of another origin that has opened a page its hold on it: a client may sign a person in in a window of its own, which it
/// reads the answer from.
pub(crate) async fn keep_opener(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert(CROSS_ORIGIN_OPENER_POLICY, HeaderValue::from_static("unsafe-none"));
    response
}

/// Completes a request even if its client disconnects, so that what it writes is audited.
pub(crate) async fn run_to_end(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let running = app.running.spawn(next.run(request).in_current_span());
    running.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Puts the layers around all routes that look at every request and response: request id, log line, security headers.
pub(crate) fn observe(routes: Router, settings: &Settings) -> Router {
    // With `no-referrer` browsers post forms over plain HTTP with `Origin: null`, which the guard against other sites refuses.
    let headers =
        SecurityHeaders::new().pages(&content_security_policy("'self'")).referrer_policy("same-origin");
    let routes = if settings.is_https() { routes.layer(from_fn(hsts::add)) } else { routes };
    routes.layer((
        from_fn_with_state(headers, security_headers::set),
        from_fn_with_state(settings.trusted_proxies.clone(), client_address::determine),
        from_fn(request_id::assign),
        from_fn(request_log::record),
    ))
}
