//! The types of problems (RFC 9457): one table, of which errors, their pages (`/errors/{slug}`), the examples of the OpenAPI documents
//! and docs/errors.md are made.

pub mod accounts;
pub mod operations;
pub mod problem_type;
pub mod requests;
pub mod schedules;
pub mod table;
pub mod tasks;
pub mod workers;
