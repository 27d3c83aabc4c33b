//! The REST API: every route and every layer.

pub(crate) mod claims;
pub(crate) mod extract;
pub(crate) mod health;
pub(crate) mod middleware;
pub(crate) mod openapi;
pub(crate) mod results;
pub(crate) mod task_body;
pub(crate) mod tasks;
