//! The Backend through its HTTP API, on PostgreSQL and on SQLite, as a user, a worker and an operator meet it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::needless_pass_by_value, reason = "`json!` is passed where it is written")]

mod admin;
mod bulk_cancel;
mod cancel;
mod catalogue;
mod claim_by_id;
mod compression;
mod counts;
mod database_outage;
mod deadline;
mod declined_tickets;
mod delayed_tasks;
mod dependencies;
mod entity_tags;
mod events;
mod heartbeat;
mod held_heartbeats;
mod http_layers;
mod idempotency;
mod installation;
mod isolation;
mod json_round_trip;
mod kit;
mod labels;
mod list;
mod long_poll;
mod long_poll_errors;
mod openapi;
mod owner_limit;
mod path_normalization;
mod peer_notifications;
mod progress;
mod pruning;
mod published_examples;
mod published_requests;
mod rate_limit;
mod read;
mod readiness;
mod report;
mod request_bodies;
mod request_log;
mod rerun;
mod retries;
mod schedule_runs;
mod schedules;
mod shutdown;
mod stopped_work;
mod submit;
mod task_batch;
mod token_verification;
mod validation;
mod worker_limits;
mod worker_names;
