//! A worker of the benchmark's own, with one operation of an isolation level: its parameter is how many milliseconds it takes.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::post;
use client::Client;
use domain::{RawJson, TypeName};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use web::allowed_hosts::AllowedHosts;
use worker::{
    Context, DeclarationSource, DeclaredOperation, Failure, Operation, OperationDeclaration,
    OperationIsolation, Operations, ProcessBounds, Settings, Worker,
};

use crate::commands::bench::isolation_level::IsolationLevel;
use crate::server::listener::Listener;

/// A running worker.
pub struct LevelWorker {
    stop: CancellationToken,
    running: JoinSet<Result<()>>,
    /// The type of its operation.
    pub name: TypeName,
}

/// Waits in the worker's process.
struct WaitHere;

/// Waits in a process of its own.
struct WaitInProcess;

impl Operation for WaitHere {
    const TYPE: &'static str = "BENCH_ASYNC";
    type Params = u64;
    type Output = ();

    async fn run(&self, ms: u64, _context: Context) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(())
    }
}

impl Operation for WaitInProcess {
    const TYPE: &'static str = "BENCH_PROCESS";
    const ISOLATION: OperationIsolation = OperationIsolation::Process;
    type Params = u64;
    type Output = ();

    fn process_bounds() -> ProcessBounds {
        ProcessBounds { grace: Duration::ZERO, ..ProcessBounds::default() }
    }

    async fn run(&self, ms: u64, context: Context) -> Result<(), Failure> {
        WaitHere.run(ms, context).await
    }
}

/// The operations for which this program is started again.
pub fn operations_in_processes() -> Operations {
    Operations::new().with(WaitInProcess)
}

impl LevelWorker {
    /// Starts a worker with `slots` slots that runs tasks of `level`, and waits until it takes tasks. Those of the level exec run a program
    /// that ends at once, or, if `is_endless`, one that runs until it is killed.
    pub async fn start(
        client: Client,
        level: IsolationLevel,
        is_endless: bool,
        slots: NonZeroU32,
    ) -> Result<Self> {
        let (stop, mut running) = (CancellationToken::new(), JoinSet::new());
        let operations = match level {
            IsolationLevel::Async => Operations::new().with(WaitHere),
            IsolationLevel::Process => operations_in_processes(),
            IsolationLevel::Exec => {
                let program = if is_endless { r#"["sleep", "86400"]"# } else { r#"["true"]"# };
                declared(&format!("type = \"BENCH_EXEC\"\nrun = {program}\ngrace_ms = 0"))?
            }
            IsolationLevel::Http => {
                let listener = slow_listener().await?;
                let http =
                    format!("http = {{ url = \"{}\", allowed_networks = [\"127.0.0.1\"] }}", listener.url());
                running.spawn(listener.serve(slow_router(), stop.clone()));
                declared(&format!("type = \"BENCH_HTTP\"\n{http}"))?
            }
        };
        let name = operations.specifications().next().expect("each level has an operation").name.clone();
        let settings = Settings { slots, drain: Duration::ZERO, ..Settings::named("bench".parse()?) };
        let takes_tasks = CancellationToken::new();
        let worker = Worker::new(client, operations, settings).with_ready_notice({
            let takes_tasks = takes_tasks.clone();
            move || takes_tasks.cancel()
        });
        let run = worker.run(stop.clone());
        running.spawn(async move { Ok(run.await?) });
        let mut started = Self { stop, running, name };
        tokio::select! {
            () = takes_tasks.cancelled() => Ok(started),
            ended = started.end() => Err(ended.err().context("the worker of the benchmark has ended")?),
        }
    }

    /// Stops the worker and waits for its end.
    pub async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        self.end().await
    }

    async fn end(&mut self) -> Result<()> {
        while let Some(ended) = self.running.join_next().await {
            ended.context("the worker of the benchmark panicked")??;
        }
        Ok(())
    }
}

/// The operation that `keys` declare.
fn declared(keys: &str) -> Result<Operations> {
    let declaration: OperationDeclaration =
        toml::from_str(&format!("{keys}\nparameters = {{ type = \"integer\" }}"))?;
    let source =
        DeclarationSource { read: &|_| Err(std::io::ErrorKind::NotFound.into()), variable: &|_| None };
    let operation: DeclaredOperation = declaration.compile(Path::new("/"), &source)?;
    Ok(Operations::new().with_declared(vec![operation])?)
}

/// A port of the loopback address.
async fn slow_listener() -> Result<Listener> {
    let hosts = AllowedHosts::new("the benchmark", Vec::new());
    Listener::bind("the benchmark's server", (Ipv4Addr::LOCALHOST, 0).into(), None, hosts).await
}

/// Answers a request after as many milliseconds as its body says.
fn slow_router() -> Router {
    Router::new().fallback(post(async |body: String| {
        let ms = RawJson::parse(body).ok().and_then(|body| body.read::<u64>().ok()).unwrap_or_default();
        tokio::time::sleep(Duration::from_millis(ms)).await;
        "null"
    }))
}
