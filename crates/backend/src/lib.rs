//! The Backend: the REST API of tasks, and the background tasks that end, announce and prune them.

mod api;
mod app;
mod auth;
mod background;
mod batching;
mod catalogue;
mod error;
mod events;
mod invalid_input_text;
mod kafka;
mod lifecycle;
mod long_poll;
mod metrics;
mod notify;
mod rate_limit;
mod schedules;
mod service;
mod settings;
mod supervisor;

pub use crate::api::openapi;
pub use crate::metrics::METRICS;
pub use crate::service::{Backend, OpenError};
pub use crate::settings::Settings;
pub use crate::supervisor::BackgroundTaskFailed;
