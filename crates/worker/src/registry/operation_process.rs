//! Operations of the isolation level `process`: the worker's own program, started again to run one task.
//!
//! The process reads its parameters from its standard input and reports by lines of JSON, as any program may. What the operation prints goes to
//! the standard error.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::str::FromStr;

use domain::{ClaimId, Grant, RawJson, RetryHint};
use rustix::fd::AsFd;
use serde_json::{Value, json};
use supervisor::run_role;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::deadline::{Deadline, SuspendAwareInstant};
use crate::program::program_operation::{ATTEMPT, DEADLINE_MS, TASK_ID, TRACE};
use crate::registry::operations::Operations;
use crate::registry::own_program::OPERATION;
use crate::reporting::progress_reporter::ProgressQueue;
use crate::sdk::context::Context;
use crate::sdk::operation::Failure;

/// Runs what this process was started for by a worker of the same program: a supervisor, or one of `operations`. `None` if it was not.
///
/// A program with operations of the isolation level `process` calls it first in `main`, before it starts a thread, and returns what it returns.
pub fn run_process(operations: impl FnOnce() -> Operations) -> Option<ExitCode> {
    if let Some(exit) = run_role() {
        return Some(exit);
    }
    let mut arguments = env::args().skip(1);
    if arguments.next()? != OPERATION {
        return None;
    }
    let name = arguments.next()?;
    Some(match run_operation(&operations(), &name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The end of the standard error is a part of the task's error.
            writeln!(io::stderr(), "the operation cannot be run: {error}").ok();
            ExitCode::FAILURE
        }
    })
}

fn run_operation(operations: &Operations, name: &str) -> io::Result<()> {
    let mut output = take_standard_output()?;
    let mut parameters = String::new();
    io::stdin().read_to_string(&mut parameters)?;
    let grant = grant_of(name, RawJson::parse(parameters).map_err(io::Error::other)?)?;
    let operation = operations.find(&grant.type_name);
    let operation =
        operation.ok_or_else(|| io::Error::other(format!("this program has no operation {name}")))?;
    let deadline = Deadline::of(SuspendAwareInstant::now(), 0, grant.remaining_ms);
    let progress = ProgressQueue::default();
    let context = Context::new(&grant, deadline, CancellationToken::new(), grant.trace, progress.clone());
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    // A task of its own: it may compute for ever, and its progress is reported all the same.
    let running = runtime.spawn(operation.start_here(grant.parameters.clone(), context));
    let ended = runtime.block_on(async {
        let write_progress = async {
            loop {
                progress.added().await;
                write_reports(&progress, &mut output);
            }
        };
        tokio::select! {
            ended = running => ended.unwrap_or_else(|error| Err(Failure::of_panic(&*error.into_panic()))),
            () = write_progress => unreachable!("it never ends"),
        }
    });
    write_reports(&progress, &mut output);
    output.write_all(end_line(ended).as_bytes())?;
    // Code that does not return ends with this process.
    runtime.shutdown_background();
    Ok(())
}

/// The standard output of this process, which from now on is its standard error for everybody else.
fn take_standard_output() -> io::Result<File> {
    let output = io::stdout().as_fd().try_clone_to_owned()?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    Ok(output.into())
}

/// What the worker was granted, as the environment tells it. The claim stays with the worker.
fn grant_of(name: &str, parameters: RawJson) -> io::Result<Grant> {
    Ok(Grant {
        id: variable(TASK_ID)?,
        type_name: name.parse().map_err(io::Error::other)?,
        parameters: Some(parameters),
        attempt: variable(ATTEMPT)?,
        claim: ClaimId(Uuid::nil()),
        remaining_ms: variable(DEADLINE_MS)?,
        trace: variable(TRACE).ok(),
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the worker tells this process its task by its environment, not by settings"
)]
fn variable<T: FromStr>(name: &str) -> io::Result<T> {
    let value = env::var(name).map_err(|error| io::Error::other(format!("{name}: {error}")))?;
    value.parse().map_err(|_| io::Error::other(format!("{name} is not valid")))
}

fn write_reports(progress: &ProgressQueue, output: &mut File) {
    for report in progress.take() {
        let line =
            json!({"progress": {"percent": report.percent, "message": report.message.unwrap_or_default()}});
        // A worker that does not listen any more kills this process.
        output.write_all(format!("{line}\n").as_bytes()).ok();
    }
}

fn end_line(ended: Result<RawJson, Failure>) -> String {
    match ended {
        Ok(result) => {
            let compact: Result<Value, _> = result.read();
            compact.map_or_else(|_| String::new(), |result| format!("{}\n", json!({ "result": result })))
        }
        Err(failure) => {
            let (is_permanent, retry_after_ms) = match failure.retry_hint() {
                Some(RetryHint::Never) => (true, None),
                Some(RetryHint::AfterMs(pause)) => (false, Some(pause)),
                None => (false, None),
            };
            let error = String::from(failure);
            let failure =
                json!({"error": error, "isPermanent": is_permanent, "retryAfterMs": retry_after_ms});
            format!("{}\n", json!({ "failure": failure }))
        }
    }
}
