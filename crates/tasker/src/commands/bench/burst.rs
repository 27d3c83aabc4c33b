//! `tasker bench burst`: many running tasks whose deadlines pass at the same time.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use client::{Client, NewTask};
use domain::{
    ClaimId, ClaimRequest, ClaimTarget, IdempotencyKey, InstanceId, Operation, RawJson, TaskId, Ttl,
    TypeName, WorkerName,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::commands::bench::burst_report::BurstReport;
use crate::commands::bench::own_server::OwnServer;
use crate::commands::bench::probe::Probe;
use crate::commands::bench::reconciliation::wait_for_ends;
use crate::commands::output::ReportFormat;
use crate::exit_code::Exit;
use crate::terminal;

/// The type of the tasks.
const TYPE: &str = "BENCH_BURST";

/// The name under which the tasks are claimed.
const WORKER: &str = "bench";

/// How many tasks are submitted and claimed at a time.
const BATCH: usize = 250;

/// How long all tasks run before their deadlines. Other requests are measured meanwhile.
const RUN_TIME: Duration = Duration::from_secs(5);

/// How long the submission and the claim of a task may take.
const TIME_PER_TASK: Duration = Duration::from_millis(3);

/// How long after its deadline the last task may run before the benchmark gives up.
const END_TIMEOUT: Duration = Duration::from_mins(2);

/// The options of `tasker bench burst`.
#[derive(Debug, Args)]
pub struct Burst {
    /// The number of tasks
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    tasks: u32,
    /// One setting of the server that this command starts and ends, a `tasker up` in a temporary directory; may be repeated
    #[arg(long = "set", value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
    /// Output format: `table` for people, `json` for programs
    #[arg(short, long, value_enum, default_value_t = ReportFormat::Table)]
    output: ReportFormat,
}

impl Burst {
    /// Runs the measurement and prints its report.
    pub async fn run(self) -> Result<Exit> {
        let server = OwnServer::start(&self.set).await?;
        let (user, worker) = (server.user()?, server.worker()?);
        let report = server.run(Box::pin(self.measure(&user, &worker))).await?;
        match self.output {
            ReportFormat::Table => terminal::print_line(&report.table())?,
            ReportFormat::Json => terminal::print_line(&serde_json::to_string(&report)?)?,
        }
        Ok(if report.is_success() { Exit::Done } else { Exit::Error })
    }

    async fn measure(&self, user: &Client, worker: &Client) -> Result<BurstReport> {
        worker.register_operation(&operation()?).await?;
        let deadline = Instant::now() + TIME_PER_TASK * self.tasks + RUN_TIME;
        let ids = self.start_tasks(user, worker, deadline).await?;
        let Some((first, last)) = ids.first().copied().zip(ids.last().copied()) else {
            bail!("no task was accepted")
        };
        let stop = CancellationToken::new();
        let reads = Probe::run(stop.clone(), async || user.get(first).await.map(drop));
        let name: TypeName = TYPE.parse()?;
        let submission = new_task(&name, Ttl::DEFAULT_MAX);
        let submissions = Probe::run(stop.clone(), async || user.submit_once(&submission).await.map(drop));
        let wait = async {
            let ended = user.wait(last, RUN_TIME + END_TIMEOUT).await;
            stop.cancel();
            ended
        };
        let (reads, submissions, ended) = tokio::join!(reads, submissions, wait);
        ended?;
        let ends = wait_for_ends(user, &ids).await;
        Ok(BurstReport::of(&ends, deadline, &reads?, &submissions?))
    }

    /// Submits and claims all tasks, each with the time to live that is left until `deadline`.
    async fn start_tasks(&self, user: &Client, worker: &Client, deadline: Instant) -> Result<Vec<TaskId>> {
        let (name, mut ids) = (TYPE.parse()?, Vec::new());
        let (worker_name, instance): (WorkerName, _) = (WORKER.parse()?, InstanceId::random());
        while ids.len() < self.tasks as usize {
            let left = deadline.saturating_duration_since(Instant::now());
            if left < RUN_TIME {
                bail!(
                    "the server has started {} of {} tasks in time: --tasks must be less",
                    ids.len(),
                    self.tasks
                );
            }
            let ttl = u64::try_from(left.as_millis())?.try_into()?;
            let task = RawJson::of(&new_task(&name, ttl))?;
            let batch = vec![task; BATCH.min(self.tasks as usize - ids.len())];
            let accepted = user.submit_batch(&batch, &IdempotencyKey::random()).await?;
            let request = ClaimRequest {
                claim: ClaimId::random(),
                worker: worker_name.clone(),
                instance,
                wanted: ClaimTarget::Ids(accepted.clone()),
                wait_ms: 0,
                declined: Vec::new(),
            };
            let granted = worker.claim(&request).await?.tasks.len();
            if granted < accepted.len() {
                bail!("the server has granted {granted} of {} tasks", accepted.len());
            }
            ids.extend(accepted);
        }
        Ok(ids)
    }
}

fn new_task(name: &TypeName, ttl: Ttl) -> NewTask<'_> {
    NewTask { ttl: Some(ttl), ..NewTask::of_type(name) }
}

/// The operation, whose tasks are claimed and not run.
fn operation() -> Result<Operation> {
    Ok(serde_json::from_value(json!({"type": TYPE, "parameters": {}, "result": {}}))?)
}
