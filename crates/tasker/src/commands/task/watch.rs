//! Waiting for a task's end, with a bar that fills as its time passes; and watching what one's tasks do.

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use client::{Client, ClientError};
use domain::{Page, RawJson, Reason, Status, Task, TaskId, TaskSummary};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::commands::target::Server;
use crate::commands::task::view::View;
use crate::config::Environment;
use crate::exit_code::Exit;
use crate::terminal;

/// Between two drawings of the bar.
const FRAME: Duration = Duration::from_millis(100);

/// How long one look at a task waits for its end: so late is its start seen, where somebody looks at the bar.
const LOOK: Duration = Duration::from_secs(1);

/// The same where nobody does.
const LONG_LOOK: Duration = Duration::from_secs(20);

/// How long a server may be silent before the waiting is given up; the task goes on without us.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two looks at the list.
const PERIOD: Duration = Duration::from_secs(1);

/// How many of the newest tasks are watched.
const WATCHED: u32 = 100;

/// Watches one task to its end, or all of them until Ctrl-C.
#[derive(Debug, Args)]
pub struct Watch {
    /// The task; without it every change of the newest hundred is printed
    id: Option<TaskId>,
    #[command(flatten)]
    server: Server,
}

/// How a wait ended.
enum Waited {
    Ended(Box<Task>),
    NotYet,
    Detached,
}

/// A task that has ended, and its result if it has one.
#[derive(Serialize)]
struct Ended {
    #[serde(flatten)]
    task: Task,
    result: Option<RawJson>,
}

impl Watch {
    /// Waits, or goes on for ever.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let client = self.server.connect(environment)?;
        match self.id {
            Some(id) => to_the_end(&self.server, &client, id, None).await,
            None => changes(&self.server, &client, &View::of(environment)).await,
        }
    }
}

/// Waits for the end of a task, for `limit` at most, and prints its result, or why there is none.
pub async fn to_the_end(
    server: &Server,
    client: &Client,
    id: TaskId,
    limit: Option<Duration>,
) -> Result<Exit> {
    let goes_on = || server.output.print(&StillRunning { id }, |_| String::new(), |_| vec![id.to_string()]);
    let task = match wait(client, id, limit).await? {
        Waited::Ended(task) => *task,
        Waited::NotYet => {
            terminal::note(&format!("{id} has not ended; wait on: tasker watch {id}"));
            goes_on()?;
            return Ok(Exit::NotEnded);
        }
        Waited::Detached => {
            terminal::note(&format!(
                "{id} goes on; wait on: tasker watch {id}; or end it: tasker cancel {id}"
            ));
            goes_on()?;
            return Ok(Exit::Detached);
        }
    };
    let result = if task.status == Status::Finished { Some(client.result(id).await?.result) } else { None };
    if result.is_none() {
        terminal::note(&why(&task));
    }
    let exit = if result.is_some() { Exit::Done } else { Exit::without_result(task.reason) };
    let table =
        |ended: &Ended| ended.result.as_ref().map(|result| terminal::data(result.text())).unwrap_or_default();
    server.output.print(&Ended { task, result }, table, |ended| vec![ended.task.id.to_string()])?;
    Ok(exit)
}

/// The answer about a task that nobody waits for.
#[derive(Serialize)]
pub struct StillRunning {
    /// Which task.
    pub id: TaskId,
}

/// Why there is no result.
fn why(task: &Task) -> String {
    let reason = task.reason.map_or("no reason is known", Reason::as_str);
    let said = task.error.as_deref().map(|error| format!("\n  {}", terminal::plain(error)));
    format!("{} was cancelled: {reason}{}", task.id, said.unwrap_or_default())
}

/// The task when it has ended. A server that goes away for a moment does not end the waiting.
async fn wait(client: &Client, id: TaskId, limit: Option<Duration>) -> Result<Waited, ClientError> {
    let (since, mut bar) = (Instant::now(), Bar::of(id));
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut answered = since;
    loop {
        let left = limit.map(|limit| limit.saturating_sub(since.elapsed()));
        if left == Some(Duration::ZERO) {
            return Ok(Waited::NotYet);
        }
        let look = if bar.is_seen() { LOOK } else { LONG_LOOK };
        let asked = client.wait(id, left.map_or(look, |left| left.min(look)));
        let answer = tokio::select! {
            answer = bar.while_drawn(asked) => answer,
            _ = &mut interrupted => return Ok(Waited::Detached),
        };
        match answer {
            Ok(task) if task.status.is_final() => return Ok(Waited::Ended(Box::new(task))),
            Ok(task) => {
                answered = Instant::now();
                bar.learn(&task, since);
            }
            Err(error) if error.is_temporary() && answered.elapsed() < PATIENCE => {
                bar.while_drawn(tokio::time::sleep(LOOK)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Time that passes, on a terminal; nothing elsewhere. It is gone when dropped.
struct Bar {
    bar: ProgressBar,
    /// When the task began to run, as far as that is known.
    began: Instant,
}

impl Bar {
    fn of(id: TaskId) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style("{prefix}  {msg}  {elapsed}"));
        bar.set_prefix(id.to_string());
        bar.set_message("waits for a worker");
        Self { bar, began: Instant::now() }
    }

    fn is_seen(&self) -> bool {
        !self.bar.is_hidden()
    }

    /// Once the task runs, its time is shown. `since`: when we began to wait.
    fn learn(&mut self, task: &Task, since: Instant) {
        let (Some(start), None) = (task.start_date, self.bar.length()) else { return };
        // Both dates are the server's; what it waited is not ours to measure.
        let waited = u64::try_from(start.micros_since(task.creation_date)).unwrap_or(0);
        self.began = since + Duration::from_micros(waited);
        self.bar.set_length(task.ttl.millis());
        self.bar.set_style(style("{prefix}  ▕{wide_bar}▏ {msg}"));
        self.draw();
    }

    fn draw(&self) {
        if let Some(ttl) = self.bar.length() {
            let life = Duration::from_millis(ttl);
            let passed = self.began.elapsed().min(life);
            self.bar.set_position(u64::try_from(passed.as_millis()).unwrap_or(ttl));
            self.bar.set_message(format!("{:.1} of {} s", passed.as_secs_f64(), life.as_secs_f64()));
        }
        self.bar.tick();
    }

    /// Draws again and again while `work` goes on.
    async fn while_drawn<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut frames = tokio::time::interval(FRAME);
        loop {
            tokio::select! {
                done = &mut work => return done,
                _ = frames.tick() => self.draw(),
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("a template of ours").progress_chars("█▉▊▋▌▍▎▏ ")
}

/// Prints the newest tasks, the oldest of them first, then each change, until Ctrl-C.
async fn changes(server: &Server, client: &Client, view: &View) -> Result<Exit> {
    let mut known: HashMap<TaskId, Status> = HashMap::new();
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut looks = tokio::time::interval(PERIOD);
    let (mut answered, page) = (Instant::now(), Page { before: None, limit: WATCHED });
    loop {
        tokio::select! {
            _ = looks.tick() => {}
            _ = &mut interrupted => return Ok(Exit::Done),
        }
        match client.list(page).await {
            Ok(found) => {
                answered = Instant::now();
                let news = found.tasks.iter().rev().filter(|task| known.get(&task.id) != Some(&task.status));
                for task in news.collect::<Vec<_>>() {
                    let table = |task: &&TaskSummary| view.summary(task);
                    server.output.print(&task, table, |task| vec![task.id.to_string()])?;
                }
                known = found.tasks.into_iter().map(|task| (task.id, task.status)).collect();
            }
            Err(error) if error.is_temporary() && answered.elapsed() < PATIENCE => {}
            Err(error) => return Err(error.into()),
        }
    }
}
