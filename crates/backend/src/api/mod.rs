//! The REST API: every route and every layer.

pub(crate) mod claims;
pub(crate) mod extract;
pub(crate) mod health;
pub(crate) mod middleware;
pub(crate) mod openapi;
pub(crate) mod operations;
pub(crate) mod results;
pub(crate) mod swagger_ui;
pub(crate) mod task_body;
pub(crate) mod tasks;
pub(crate) mod workers;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::middleware::cors::cors;
use crate::api::middleware::normalize_path::normalize_path;
use crate::api::middleware::{request_metrics, timeout, trace_context};
use crate::api::openapi::{ApiDoc, DOCUMENT_PATH, add_common_responses};
use crate::app::AppState;
use crate::error::ApiError;

/// What the body of a submission may contain beside the parameters, in bytes.
const BODY_OVERHEAD_BYTES: usize = 16 * 1024;

/// The largest body of a request of a worker, in bytes: a batch of results.
const WORKER_API_BODY_LIMIT: usize = 32 * 1024 * 1024;

/// The OpenAPI document as it is published.
pub fn openapi() -> OpenApi {
    add_common_responses(routes().into_openapi())
}

/// The routes that the document describes.
fn routes() -> OpenApiRouter<Arc<AppState>> {
    let users = OpenApiRouter::new()
        .routes(routes!(tasks::submit, tasks::list))
        .routes(routes!(tasks::get))
        .routes(routes!(tasks::result))
        .routes(routes!(tasks::cancel))
        .routes(routes!(operations::list));
    let workers = OpenApiRouter::new()
        .routes(routes!(claims::claim_task))
        .routes(routes!(claims::claim_tasks))
        .routes(routes!(results::report))
        .routes(routes!(workers::heartbeat))
        .routes(routes!(workers::list))
        .routes(routes!(operations::register))
        .layer(DefaultBodyLimit::max(WORKER_API_BODY_LIMIT));
    let health = OpenApiRouter::new().routes(routes!(health::live)).routes(routes!(health::ready));
    OpenApiRouter::with_openapi(ApiDoc::without_routes()).merge(users).merge(workers).merge(health)
}

/// The whole API with its layers, the outermost last.
pub(crate) fn router(app: Arc<AppState>) -> Router {
    let (api, document) = routes().split_for_parts();
    let document = serde_json::to_vec(&add_common_responses(document)).expect("an OpenAPI document is JSON");
    let json = [(CONTENT_TYPE, "application/json")];
    let router = api
        .route(DOCUMENT_PATH, get(move || async move { (json, document).into_response() }))
        .route("/{file}", get(swagger_ui::file))
        .route("/", get(|| async { Redirect::to("/index.html") }))
        .fallback(|| async { ApiError::NoRoute })
        .method_not_allowed_fallback(|| async { ApiError::NoMethod })
        .layer(from_fn_with_state(app.clone(), timeout::enforce_timeout))
        .layer(from_fn(trace_context::record_span))
        .layer(from_fn(request_metrics::measure))
        .layer(CatchPanicLayer::custom(|_| ApiError::Internal("a handler panicked".into()).into_response()))
        .layer(default_header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(default_header(REFERRER_POLICY, "no-referrer"))
        .layer(default_header(CACHE_CONTROL, "no-store"))
        .layer(cors(&app.settings.cors_origins))
        .layer(DefaultBodyLimit::max(app.settings.max_parameters + BODY_OVERHEAD_BYTES))
        .with_state(app);
    normalize_path(router)
}

/// A header of every answer whose handler does not set it.
fn default_header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
}
