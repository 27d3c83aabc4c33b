//! `tasker submit`: hands a task in and, with `--wait`, stays until it has ended.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use client::{Client, ClientError};
use domain::{Json, Reason, Status, Task, TaskId, Ttl, TypeName};
use serde::Serialize;

use crate::config::Environment;
use crate::exit::Exit;
use crate::show;

use super::server::Server;
use super::{parameters, ttl};

/// Between two drawings of the line that shows that something goes on.
const FRAME: Duration = Duration::from_millis(100);

/// How long one look at the task waits for its end.
const LOOK: Duration = Duration::from_secs(1);

/// How long a server may be silent before the waiting is given up; the task goes on without us.
const PATIENCE: Duration = Duration::from_secs(15);

/// Submits a task.
#[derive(Debug, Args)]
pub struct Submit {
    /// The operation that it asks for, like `GENERATE_LOGIN`
    #[arg(value_name = "TYPE")]
    name: TypeName,
    /// Its parameters: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "JSON", allow_hyphen_values = true)]
    parameters: Option<String>,
    /// Its time to live, counted from its start: 500ms, 5s, 2m, 1h, 7d
    #[arg(long, value_parser = ttl::parse)]
    ttl: Option<Ttl>,
    /// Wait until it has ended, then print its result; exit code 3 if it was cancelled
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    server: Server,
}

/// The answer of a submission that does not wait.
#[derive(Serialize)]
struct Submitted {
    id: TaskId,
}

/// The answer of one that does: the task, and its result if it has one.
#[derive(Serialize)]
struct Ended {
    #[serde(flatten)]
    task: Task,
    result: Option<Json>,
}

impl Submit {
    /// Submits, waits if asked to, and prints.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let parameters = self.parameters.as_deref().map(parameters::read).transpose()?;
        let client = self.server.connect(environment)?;
        let id = client.submit(&self.name, parameters.as_ref(), self.ttl).await?;
        if !self.wait {
            self.server.print(&Submitted { id }, |submitted| submitted.id.to_string())?;
            return Ok(Exit::Done);
        }
        let task = watch(&client, id).await?;
        if task.status == Status::Finished {
            let result = client.result(id).await?.result;
            let text = result.text().to_owned();
            self.server.print(&Ended { task, result: Some(result) }, |_| text)?;
            return Ok(Exit::Done);
        }
        show::note(&why(&task));
        self.server.print(&Ended { task, result: None }, |_| String::new())?;
        Ok(Exit::Cancelled)
    }
}

/// Why there is no result.
fn why(task: &Task) -> String {
    let reason = task.reason.map_or("no reason is known", Reason::as_str);
    let said = task.error.as_deref().map(|error| format!("\n  {error}"));
    format!("{} was cancelled: {reason}{}", task.id, said.unwrap_or_default())
}

/// The task when it has ended. A server that goes away for a moment does not end the waiting.
async fn watch(client: &Client, id: TaskId) -> Result<Task, ClientError> {
    let since = Instant::now();
    let (mut status, mut answered) = (Status::Created, since);
    loop {
        let line = || format!("{id}  {status}  {:.1} s", since.elapsed().as_secs_f64());
        match draw_while(client.wait(id, LOOK), line).await {
            Ok(task) if !task.status.is_final() => (status, answered) = (task.status, Instant::now()),
            Err(error) if error.is_temporary() && answered.elapsed() < PATIENCE => {
                tokio::time::sleep(LOOK).await;
            }
            ended => {
                show::progress("");
                return ended;
            }
        }
    }
}

/// Draws `line` again and again while `work` goes on.
async fn draw_while<T>(work: impl Future<Output = T>, line: impl Fn() -> String) -> T {
    let mut work = pin!(work);
    let mut frames = tokio::time::interval(FRAME);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = frames.tick() => show::progress(&line()),
        }
    }
}
