//! The REST API: every route and every layer.

pub(crate) mod admin;
pub(crate) mod body_fields;
pub(crate) mod bulk_cancel;
pub(crate) mod claims;
pub(crate) mod counts;
pub(crate) mod entity_tag;
pub(crate) mod event_stream;
pub(crate) mod events;
pub(crate) mod extract;
pub(crate) mod health;
pub(crate) mod list_query;
pub(crate) mod openapi;
pub(crate) mod operations;
pub(crate) mod option_fields;
pub(crate) mod progress;
pub(crate) mod reports;
pub(crate) mod rerun;
pub(crate) mod schedule_body;
pub(crate) mod schedules;
pub(crate) mod submission_answer;
pub(crate) mod swagger_ui;
pub(crate) mod task_batch;
pub(crate) mod task_body;
pub(crate) mod task_list;
pub(crate) mod tasks;
pub(crate) mod waiting_read;
pub(crate) mod workers;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use domain::limits::MAX_BATCH_BYTES;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};
use utoipa_axum::routes;
use web::bearer::{self, Realm};
use web::normalize_path::{self, Templates};
use web::query_names::{self, QueryNames};
use web::request_span::{self, TraceRoots};
use web::security_headers::{self, SecurityHeaders};
use web::timeout::{self, TimeLimit, Wait};
use web::{
    catch_panic, client_address, compression, cors, problem_pages, request_encoding, request_id, request_log,
    request_metrics,
};

use crate::api::extract::budgeted_body;
use crate::api::extract::prefer::Prefer;
use crate::api::openapi::{ApiDoc, DOCUMENT_PATH, complete};
use crate::api::operations::REGISTRATION_BODY_LIMIT;
use crate::api::swagger_ui::INDEX_PATH;
use crate::api::task_body::BODY_OVERHEAD_BYTES;
use crate::app::AppState;
use crate::error::ApiError;
use crate::long_poll::queue::MAX_WAIT;
use crate::metrics::REQUEST_SECONDS;
use crate::rate_limit;

/// The largest bodies of the requests of workers, in bytes: of a claim (1000 ids, 1000 types and 1000 declined tasks), of a heartbeat
/// (20,000 grants and 1000 types), of a batch of reports about progress and of a batch of reports.
const CLAIM_BODY_LIMIT: usize = 1 << 20;
const PROGRESS_BODY_LIMIT: usize = 2 << 20;
const HEARTBEAT_BODY_LIMIT: usize = 4 << 20;
const REPORTS_BODY_LIMIT: usize = budgeted_body::MAX_BYTES as usize;

/// A trace begins with a submission, unless its caller sends one.
const TRACE_ROOTS: TraceRoots =
    &[("POST", "/api/Task"), ("POST", "/api/Task/batch"), ("POST", "/api/Task/{id}/rerun")];

/// The OpenAPI document as it is published.
pub fn openapi() -> OpenApi {
    complete(routes().into_openapi())
}

/// The routes that the document describes.
fn routes() -> OpenApiRouter<Arc<AppState>> {
    let users = OpenApiRouter::new()
        .routes(routes!(task_list::list))
        .routes(routes!(tasks::attempts))
        .routes(routes!(tasks::cancel))
        .routes(routes!(counts::count))
        .routes(routes!(bulk_cancel::cancel))
        .merge(limited(routes!(task_batch::submit_batch), MAX_BATCH_BYTES as usize))
        .routes(routes!(operations::list))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::put, schedules::get, schedules::remove))
        .routes(routes!(schedules::run))
        .routes(routes!(schedules::pause))
        .routes(routes!(schedules::resume))
        .routes(routes!(events::of_owner))
        .routes(routes!(events::of_task))
        .routes(routes!(events::of_all));
    let waiting_users = OpenApiRouter::new()
        .routes(routes!(tasks::submit))
        .routes(routes!(rerun::rerun))
        .routes(routes!(tasks::get))
        .routes(routes!(tasks::result))
        .layer(from_fn_with_state(preferred_wait as Wait, timeout::allow_wait));
    let users = rate_limited(users.merge(waiting_users));
    let admins = OpenApiRouter::new()
        .routes(routes!(admin::list::list))
        .routes(routes!(admin::tasks::count))
        .routes(routes!(admin::tasks::get))
        .routes(routes!(admin::tasks::cancel));
    let admins = rate_limited(admins);
    let workers = OpenApiRouter::new()
        .routes(routes!(workers::list))
        .routes(routes!(operations::register, operations::remove))
        .layer(DefaultBodyLimit::max(REGISTRATION_BODY_LIMIT));
    // What every worker calls all the time; a line of the log for each would hide the others.
    let busy_workers = OpenApiRouter::new()
        .routes(routes!(claims::claim_task))
        .merge(limited(routes!(reports::report), REPORTS_BODY_LIMIT))
        .merge(limited(routes!(progress::report), PROGRESS_BODY_LIMIT));
    let waiting_workers = OpenApiRouter::new()
        .merge(limited(routes!(claims::claim_tasks), CLAIM_BODY_LIMIT))
        .layer(from_fn_with_state(long_poll_wait as Wait, timeout::allow_wait));
    let heartbeats = limited(routes!(workers::heartbeat), HEARTBEAT_BODY_LIMIT)
        .layer(from_fn_with_state(heartbeat_wait as Wait, timeout::allow_wait));
    let busy_workers =
        busy_workers.merge(waiting_workers).merge(heartbeats).layer(from_fn(request_log::log_at_debug));
    let workers = workers.merge(busy_workers);
    let health = OpenApiRouter::new()
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        .layer(from_fn(request_log::log_at_debug));
    let document = OpenApiRouter::with_openapi(ApiDoc::without_routes());
    document.merge(users).merge(admins).merge(workers).merge(health).merge(problem_pages::routes())
}

/// Routes whose requests count towards what each caller may send (`backend.requests_per_minute`). Those of workers do not: a report that
/// waits may miss its deadline, and the number of a caller's workers is limited.
fn rate_limited(routes: OpenApiRouter<Arc<AppState>>) -> OpenApiRouter<Arc<AppState>> {
    let mut routes = routes.layer(from_fn(rate_limit::announce));
    web::openapi::document_rate_limit(routes.get_openapi_mut());
    routes
}

/// A route whose bodies have at most `bytes` bytes.
fn limited(route: UtoipaMethodRouter<Arc<AppState>>, bytes: usize) -> OpenApiRouter<Arc<AppState>> {
    OpenApiRouter::new().routes(route).layer(DefaultBodyLimit::max(bytes))
}

/// The whole API with its layers, the outermost last.
pub(crate) fn router(app: Arc<AppState>) -> Router {
    let (api, document) = routes().split_for_parts();
    let api =
        api.layer(from_fn_with_state(QueryNames::from_document(&document), query_names::refuse_unknown));
    let documented = document.paths.paths.keys().map(String::as_str);
    let templates = Templates::new(documented.chain([
        DOCUMENT_PATH,
        INDEX_PATH,
        problem_pages::style_url(),
        "/{file}",
        "/",
    ]));
    let document = swagger_ui::with_sign_in(complete(document), app.token_verifier.issuer());
    let document = serde_json::to_vec(&document).expect("an OpenAPI document is JSON");
    let json = [(CONTENT_TYPE, "application/json")];
    let pages = Router::new()
        .route(DOCUMENT_PATH, get(move || async move { (json, document).into_response() }))
        .route("/{file}", get(swagger_ui::serve_file))
        .route("/", get(|| async { Redirect::to(INDEX_PATH) }));
    let time_limit = TimeLimit::new(app.settings.request_timeout, timed_out);
    // A caller reads its own tasks, whose parameters and results never change: nobody can send one guess after the other beside a
    // secret of them, and no page of another site has the caller's token.
    let router = compression::gzip(api.merge(pages))
        .fallback(|| async { ApiError::NoRoute })
        .method_not_allowed_fallback(|| async { ApiError::NoMethod });
    // The outermost first. One call for all of them: the router boxes the result of each call, and clones it for each request.
    let layers = (
        DefaultBodyLimit::max(app.settings.max_parameters + BODY_OVERHEAD_BYTES),
        cors::layer(&app.settings.cors_origins),
        from_fn_with_state(SecurityHeaders::new(), security_headers::set),
        from_fn_with_state(Realm::new(app.token_verifier.issuer()), bearer::add_realm),
        from_fn_with_state(app.settings.trusted_proxies.clone(), client_address::determine),
        from_fn(request_id::assign),
        from_fn(request_log::record),
        from_fn_with_state(REQUEST_SECONDS, request_metrics::measure),
        from_fn_with_state(TRACE_ROOTS, request_span::record),
        catch_panic::layer(catch_panic::internal_error),
        from_fn_with_state(time_limit, timeout::enforce),
    );
    let router = request_encoding::decode(router, request_encoding::problem).layer(layers);
    normalize_path::apply(router.with_state(app), templates)
}

/// How long a request with `Prefer: wait=N` may wait.
fn preferred_wait(request: &Request) -> Duration {
    Prefer::from_headers(request.headers()).wait.unwrap_or_default()
}

/// How long a claim request may wait. Its body says how long, and is not read yet.
fn long_poll_wait(_: &Request) -> Duration {
    MAX_WAIT
}

/// How long a heartbeat may be held. Its body says how long, and is not read yet.
fn heartbeat_wait(_: &Request) -> Duration {
    workers::MAX_HELD
}

fn timed_out() -> Response {
    ApiError::TimedOut.into_response()
}
