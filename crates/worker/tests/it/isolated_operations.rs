//! Operations of the isolation level `process`: each attempt is a process of the program `examples/isolated_worker`.

use std::path::PathBuf;
use std::sync::Arc;

use domain::{AttemptOutcome, ExecutionIsolation, GrantRef, TaskId};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use worker::{
    Context, Failure, MeansPreference, Operation, OperationIsolation, Operations, Supervision,
    SupervisorProgram, Worker,
};

use crate::kit::probe_operation::{LONG_TTL, RunningWorker, settings};
use crate::kit::scripted_backend::Backend;

/// The operation of the example, as its worker registers it. It runs in the example's processes only.
struct CountPrimes;

#[derive(Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only the program of the example reads it")]
struct Range {
    below: u64,
}

impl Operation for CountPrimes {
    const TYPE: &'static str = "COUNT_PRIMES";
    const ISOLATION: OperationIsolation = OperationIsolation::Process;
    type Params = Range;
    type Output = usize;

    async fn run(&self, _: Range, _: Context) -> Result<usize, Failure> {
        panic!("it runs inside the worker's process")
    }
}

/// The example, which Cargo builds with the tests of the workspace.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let example = test.ancestors().nth(2).unwrap().join("examples/isolated_worker");
    assert!(example.exists(), "{} is built by `cargo test` without `--test`", example.display());
    example
}

fn run_worker(backend: &Backend) -> RunningWorker {
    let supervision = Supervision::new(SupervisorProgram::at(example()), MeansPreference::Auto);
    let operations = Operations::new().supervised_by(Arc::new(supervision)).with(CountPrimes);
    let stop = CancellationToken::new();
    let worker = Worker::new(backend.client(), operations, settings(2));
    RunningWorker { worker: TaskTracker::new().spawn(worker.run(stop.clone())), stop }
}

#[tokio::test]
async fn an_isolated_operation_reports_its_progress_and_its_result() {
    let mut backend = Backend::start();
    let id = backend.add_task("COUNT_PRIMES", r#"{"below": 100}"#, LONG_TTL);
    let worker = run_worker(&backend);
    assert_eq!(backend.registration().await.isolation, ExecutionIsolation::Process);
    let report = backend.report().await;
    let AttemptOutcome::Result(result) = report.reported else { panic!("{report:?}") };
    assert_eq!((report.id, result.text()), (id, "25"));
    worker.stopped().await;
}

/// The names of the variables of the process that runs the task `id`.
fn variables_of(id: TaskId) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let environments =
        processes.filter_map(|process| std::fs::read_to_string(process.path().join("environ")).ok());
    let task = format!("TASKER_TASK_ID={id}");
    let environment = environments.into_iter().find(|text| text.split('\0').any(|variable| variable == task));
    let environment = environment.expect("a process runs the task");
    let mut names: Vec<String> = environment
        .split_terminator('\0')
        .map(|variable| variable.split('=').next().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_isolated_operation_gets_nothing_of_the_workers_environment() {
    assert!(std::env::vars_os().any(|(name, _)| name == "PATH"));
    let mut backend = Backend::start();
    let id = backend.add_task("COUNT_PRIMES", r#"{"below": 100000000}"#, LONG_TTL);
    let worker = run_worker(&backend);
    backend.progress().await;
    let expected = ["TASKER_ATTEMPT", "TASKER_DEADLINE_MS", "TASKER_SUPERVISION", "TASKER_TASK_ID"];
    assert_eq!(variables_of(id), expected);
    let grant = GrantRef { id, attempt: 1 };
    backend.stop(grant);
    while !backend.heartbeat().await.stopped.iter().any(|stopped| stopped.grant() == grant) {}
    worker.stopped().await;
}

/// G9: code that never awaits is stopped, too.
#[tokio::test]
async fn an_isolated_operation_that_computes_for_ever_is_stopped_at_once() {
    let mut backend = Backend::start();
    let id = backend.add_task("COUNT_PRIMES", r#"{"below": 100000000}"#, LONG_TTL);
    let worker = run_worker(&backend);
    assert_eq!(backend.progress().await.progress[0].message.as_deref(), Some("counting"));
    let grant = GrantRef { id, attempt: 1 };
    backend.stop(grant);
    while !backend.heartbeat().await.stopped.iter().any(|stopped| stopped.grant() == grant) {}
    assert_eq!(backend.open_grants(), 1, "nothing is reported of a task that the Backend has ended");
    worker.stopped().await;
}
