//! A worker whose operation computes without an await, and so runs in processes of its own: each is killed when its task ends.
//!
//! Run it with the addresses of the Backend and of Identity, and with the id and the secret of a client that has the role Worker:
//! `cargo run --example isolated_worker -- http://127.0.0.1:8080 http://127.0.0.1:8081 primes SECRET`

use std::env;
use std::process::ExitCode;

use client::{Client, Credentials};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use worker::{Context, Failure, Operation, OperationIsolation, Operations, Settings, Worker, run_process};

/// The parameters of `COUNT_PRIMES`.
#[derive(Deserialize, JsonSchema)]
struct Range {
    /// The primes below this number are counted.
    below: u64,
}

/// Counts primes in the slowest way.
struct CountPrimes;

impl Operation for CountPrimes {
    const TYPE: &'static str = "COUNT_PRIMES";
    const ISOLATION: OperationIsolation = OperationIsolation::Process;
    type Params = Range;
    type Output = usize;

    async fn run(&self, range: Range, context: Context) -> Result<usize, Failure> {
        context.progress(0, "counting");
        let is_prime = |number: &u64| !(2..*number).any(|divisor| number.is_multiple_of(divisor));
        Ok((2..range.below).filter(is_prime).count())
    }
}

fn operations() -> Operations {
    Operations::new().with(CountPrimes)
}

fn main() -> ExitCode {
    // The worker starts this program again for each task: then it runs the task here and ends.
    if let Some(exit) = run_process(operations) {
        return exit;
    }
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [backend, identity, id, secret] = arguments.as_slice() else { return ExitCode::FAILURE };
    let credentials =
        Credentials::Client { identity: identity.clone(), id: id.clone(), secret: secret.clone().into() };
    let settings = client::Settings { backends: vec![backend.clone()], credentials, ca: None };
    match serve(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Runs tasks until Ctrl-C.
fn serve(settings: client::Settings) -> Result<(), Box<dyn std::error::Error>> {
    Runtime::new()?.block_on(async {
        let worker = Worker::new(Client::new(settings)?, operations(), Settings::named("primes-1".parse()?));
        let stop = CancellationToken::new();
        let stop_on_signal = async {
            tokio::signal::ctrl_c().await.ok();
            stop.cancel();
        };
        let (ended, ()) = tokio::join!(worker.run(stop.clone()), stop_on_signal);
        Ok(ended?)
    })
}
