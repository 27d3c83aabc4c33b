//! The binary as its users meet it: processes, their output, their exit codes.

#![expect(unreachable_pub, reason = "nothing depends on tests: here `pub` is what a helper offers")]

mod all_in_one;
mod backup;
mod cluster_chaos;
mod commands;
mod deadline_lateness;
mod doctor;
mod end_to_end;
mod every_setting;
mod kit;
mod logs;
mod metrics;
mod process_kill;
mod services;
mod settings;
mod tls;
mod traces;
mod transcript;
mod upgrade;
