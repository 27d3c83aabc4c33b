//! The HTTP layers that every HTTP service shares: layers around a router, and readers of request headers.
//!
//! The crate depends on HTTP and problem documents (RFC 9457), and not on tasks, accounts, databases or Kafka. Layers are plain
//! middleware functions for [`axum::middleware`], or a layer of `tower-http` with our settings.
//!
//! A router with the whole stack. The layer that is added last is the outermost and runs first:
//!
//! ```
//! use std::sync::LazyLock;
//! use std::time::Duration;
//!
//! use axum::extract::Request;
//! use axum::middleware::{from_fn, from_fn_with_state};
//! use axum::response::{IntoResponse, Response};
//! use axum::routing::{get, post};
//! use axum::Router;
//! use domain::Problem;
//! use domain::problem_types::accounts::CROSS_SITE;
//! use domain::problem_types::requests::{NO_SUCH_ADDRESS, TIMED_OUT};
//! use web::assets::{self, Asset};
//! use web::normalize_path::{self, Templates};
//! use web::security_headers::{self, SecurityHeaders};
//! use web::timeout::{self, TimeLimit};
//! use web::{catch_panic, compression, csrf, problem, request_id, request_log, request_metrics};
//!
//! static STYLE: LazyLock<Asset> =
//!     LazyLock::new(|| Asset::new("site.css", "text/css; charset=utf-8", b"body { margin: 0 }"));
//!
//! async fn not_found() -> Response {
//!     problem::response(Problem::new(&NO_SUCH_ADDRESS, "nothing is at this address"))
//! }
//!
//! fn timed_out() -> Response {
//!     problem::response(Problem::new(&TIMED_OUT, "the request took too long"))
//! }
//!
//! fn cross_site() -> Response {
//!     problem::response(Problem::new(&CROSS_SITE, "another site sent this request"))
//! }
//!
//! fn requested_wait(_request: &Request) -> Duration {
//!     Duration::from_secs(20)
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Routes that wait for something: they may take longer than the others.
//! let waiting = Router::new()
//!     .route("/api/item/{id}/result", get(async || "the result"))
//!     .layer(from_fn_with_state(requested_wait as timeout::Wait, timeout::allow_wait));
//! // Routes that are called all the time: their successes are logged at `debug`, although they change something.
//! let frequent = Router::new()
//!     .route("/api/heartbeat", post(async || "noted"))
//!     .layer(from_fn(request_log::log_at_debug));
//! // Static files may be compressed: they hold no secret.
//! let files = compression::gzip(assets::router([&*STYLE]));
//!
//! let router: Router = Router::new()
//!     .route("/api/item", get(async || "the items").post(async || "made"))
//!     .merge(waiting)
//!     .merge(frequent)
//!     .merge(files)
//!     .fallback(not_found)
//!     .layer(from_fn_with_state(TimeLimit::new(Duration::from_secs(30), timed_out), timeout::enforce))
//!     .layer(csrf::layer(["https://tasker.example"], cross_site)?)
//!     .layer(catch_panic::layer(catch_panic::internal_error))
//!     .layer(from_fn_with_state("example_http_request_seconds", request_metrics::measure))
//!     .layer(from_fn(request_log::record))
//!     // Outside of every layer that may answer with a problem, and of the log, which contains the id.
//!     .layer(from_fn(request_id::assign))
//!     .layer(from_fn_with_state(SecurityHeaders::new(), security_headers::set));
//! // Outside of the router, since a layer of the router runs after the route is chosen.
//! let templates = ["/api/item", "/api/item/{id}/result", "/api/heartbeat", STYLE.url()];
//! let service = normalize_path::apply(router, Templates::new(templates));
//! # let _: Router = service;
//! # Ok(())
//! # }
//! ```

pub mod allowed_hosts;
pub mod assets;
pub mod bearer;
pub mod catch_panic;
pub mod client_address;
pub mod compression;
pub mod cookies;
pub mod cors;
pub mod csrf;
pub mod hsts;
pub mod json_body;
pub mod network;
pub mod normalize_path;
pub mod openapi;
pub mod problem;
pub mod problem_pages;
pub mod query_names;
pub mod request_encoding;
pub mod request_id;
pub mod request_log;
pub mod request_metrics;
pub mod request_span;
pub mod revocation;
pub mod security_headers;
pub mod timeout;
