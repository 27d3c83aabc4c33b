//! The binary as its users meet it: processes, their output, their exit codes.

#![expect(unreachable_pub, reason = "nothing depends on tests: here `pub` is what a helper offers")]

mod audit;
mod backup;
mod cluster;
mod collector;
mod commands;
mod crash;
mod doctor;
mod every_setting;
mod lateness;
mod logs;
mod many;
mod metrics;
mod person;
mod process;
mod roles;
mod settings;
mod system;
mod tls;
mod traces;
mod transcript;
mod until;
mod up;
mod upgrade;
