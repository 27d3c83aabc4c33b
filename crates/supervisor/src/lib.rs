//! Runs a program for one attempt of a task and ends it, with all its descendants, by a deadline.
//!
//! Three processes of one program take part, besides the program that is run:
//!
//! - the *worker* asks for a program to be run ([`SupervisedProcess`]);
//! - the *supervisor* owns the deadline and the limits, and ends when the worker does. A process is one if it is started with the first
//!   argument that [`run_role`] knows;
//! - the *init process* is the parent of the program and adopts its orphans. In a PID namespace of its own the kernel ends all other processes
//!   of the namespace with it.
//!
//! What a host allows decides how descendants are killed: see [`StopMeans`]. Linux only.

mod attempt_mark;
mod boot_clock;
mod cgroup;
mod descendants;
mod event;
mod init_process;
mod kill;
mod launch;
mod leftovers;
mod line_buffer;
mod locked_directory;
mod marked_processes;
mod means;
mod namespace;
mod output;
mod process;
mod resource_limits;
mod role;
mod role_names;
mod scratch_directory;
mod supervision;
mod supervisor_program;
mod system_user;
mod usage;
mod worker_cgroup;
mod worker_connection;

pub use boot_clock::BootInstant;
pub use event::{EndReason, Ended, Limit};
pub use launch::{Grace, Limits, ProgramToRun, STANDARD_ERROR_TAIL_BYTES};
pub use leftovers::remove_leftovers;
pub use means::{MeansPreference, StopMeans};
pub use process::{ProcessEvent, SupervisedProcess};
pub use role::run_role;
pub use supervisor_program::SupervisorProgram;
