//! The HTTP layers around real routers.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allowed_hosts;
mod assets;
mod client_address;
mod compression;
mod csrf;
mod exchange;
mod normalize_path;
mod problem;
mod problem_pages;
mod request_log;
mod request_metrics;
mod request_span;
mod security_headers;
mod timeout;
