//! Tests of the binary from outside: its processes, their output, their exit codes and their HTTP interfaces.

#![expect(
    unreachable_pub,
    reason = "no crate depends on tests: `pub` marks what a module offers to the others"
)]

mod account_commands;
mod all_in_one;
mod allowed_hosts;
mod backend_failover;
mod backup;
mod bench;
mod bulk_commands;
mod cancel_latency;
mod cluster_chaos;
mod commands;
mod connection_limits;
mod deadline_lateness;
mod dependency_kill;
mod doctor;
mod early_cancellation;
mod end_to_end;
mod every_setting;
mod example_operations;
mod file_trust;
mod first_tasks;
mod foreign_text;
mod healthcheck;
mod hostile_http;
mod hostile_kills;
mod hostile_programs;
mod idempotency_kill;
mod kafka_priorities;
mod kit;
mod logs;
mod metrics;
mod operation_check;
mod operation_reload;
mod preconditions;
mod process_kill;
mod program_operations;
mod provider_login;
mod request_encoding;
mod schedule_commands;
mod schedule_kill;
mod services;
mod settings;
mod tls;
mod traces;
mod transcript;
mod upgrade;
mod watch_without_events;
