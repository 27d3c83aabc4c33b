//! `tasker watch`: waits for the end of a task, with a progress bar; without an id prints every change of the user's tasks.

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use client::{Client, ClientError, EventStream, StreamItem};
use domain::{PageRequest, RawJson, Reason, Status, Task, TaskEvent, TaskEventKind, TaskId, TaskSummary};
use serde::Serialize;
use tokio::time::timeout;

use crate::command_error::NotSignedIn;
use crate::commands::connection_target::Server;
use crate::commands::task::id_prefix::IdPrefix;
use crate::commands::task::ttl_bar::TtlBar;
use crate::commands::task::view::View;
use crate::config::environment::Environment;
use crate::exit_code::Exit;
use crate::terminal;

/// How long one request waits for the end of the task while a progress bar is shown.
const VISIBLE_WAIT: Duration = Duration::from_secs(1);

/// The period in which a task that has not started is requested while a progress bar is shown: the bar shows the start of the
/// task at most this late.
const START_PERIOD: Duration = Duration::from_millis(200);

/// How long one request waits for the end of the task without a progress bar.
const HIDDEN_WAIT: Duration = Duration::from_secs(20);

/// How long the server may fail to answer before the command gives up. The task continues.
const MAX_OUTAGE: Duration = Duration::from_secs(15);

/// The period in which the list of tasks is requested.
const LIST_PERIOD: Duration = Duration::from_secs(1);

/// How many of the newest tasks are watched.
const WATCHED_TASKS: u32 = 100;

/// Options of `tasker watch`.
#[derive(Debug, Args)]
pub struct Watch {
    /// The task's id or its first characters; without it every change of the newest hundred tasks is printed until Ctrl-C
    id: Option<IdPrefix>,
    #[command(flatten)]
    server: Server,
}

/// How a wait ended.
enum WaitOutcome {
    Ended(Box<Task>),
    LimitReached,
    Interrupted,
}

/// The answer about an ended task, with the result if it has one.
#[derive(Serialize)]
struct EndedTask {
    #[serde(flatten)]
    task: Task,
    result: Option<RawJson>,
}

impl Watch {
    /// Waits for the end of one task, or prints changes until Ctrl-C.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let client = self.server.connect(environment).await?;
        match self.id {
            Some(id) => wait_and_print(&self.server, &client, id.find(&client).await?, None, None).await,
            None => print_changes(&self.server, &client, &View::of(environment)).await,
        }
    }
}

/// Waits for the end of a task, for `limit` at most, and prints its result or why there is none. `submitted` is when this command
/// submitted the task, if it did.
pub async fn wait_and_print(
    server: &Server,
    client: &Client,
    id: TaskId,
    limit: Option<Duration>,
    submitted: Option<Instant>,
) -> Result<Exit> {
    let printed = wait_and_print_end(server, client, id, limit, submitted).await;
    printed.map_err(|error| match error.downcast_ref::<ClientError>() {
        Some(refused) if is_sign_in_over(refused) => NotSignedIn::EndedDuringWait(id).into(),
        Some(_) => {
            terminal::print_note(&format!("the wait for {id} failed; to wait again: tasker watch {id}"));
            error
        }
        None => error,
    })
}

/// Whether a request was refused because its token is no longer valid and there is no other.
fn is_sign_in_over(error: &ClientError) -> bool {
    error.is_caller_refused() && error.problem().is_none_or(|problem| problem.status == 401)
}

async fn wait_and_print_end(
    server: &Server,
    client: &Client,
    id: TaskId,
    limit: Option<Duration>,
    submitted: Option<Instant>,
) -> Result<Exit> {
    // The task as it is now, for programs; for people there is the note.
    let print_unfinished = async || -> Result<()> {
        let task = client.get(id).await?;
        Ok(server.output.print(&task, |_| String::new(), |_| vec![id.to_string()])?)
    };
    let task = match wait_for_end(client, id, limit, submitted).await? {
        WaitOutcome::Ended(task) => *task,
        WaitOutcome::LimitReached => {
            terminal::print_note(&format!("{id} has not ended; to wait again: tasker watch {id}"));
            print_unfinished().await?;
            return Ok(Exit::NotEnded);
        }
        WaitOutcome::Interrupted => {
            terminal::print_note(&format!(
                "{id} continues; to wait again: tasker watch {id}; to cancel it: tasker cancel {id}"
            ));
            print_unfinished().await?;
            return Ok(Exit::Detached);
        }
    };
    let result = if task.status == Status::Finished { Some(client.result(id).await?.result) } else { None };
    if result.is_none() {
        terminal::print_note(&why_no_result(&task));
    }
    let exit = if result.is_some() { Exit::Done } else { Exit::without_result(task.reason) };
    let table = |ended: &EndedTask| {
        ended.result.as_ref().map(|result| terminal::escape_on_terminal(result.text())).unwrap_or_default()
    };
    server.output.print(&EndedTask { task, result }, table, |ended| vec![ended.task.id.to_string()])?;
    Ok(exit)
}

fn why_no_result(task: &Task) -> String {
    let reason = task.reason.map_or("no reason is known", Reason::as_str);
    let error = task.error.as_deref().map(|error| format!("\n  {}", terminal::indent(error, 4)));
    format!("{} was cancelled: {reason}{}", task.id, error.unwrap_or_default())
}

/// Waits until the task has ended, the limit is reached or Ctrl-C is pressed. Short outages of the server are survived.
async fn wait_for_end(
    client: &Client,
    id: TaskId,
    limit: Option<Duration>,
    submitted: Option<Instant>,
) -> Result<WaitOutcome, ClientError> {
    let (began, mut bar) = (Instant::now(), TtlBar::of(id));
    // Without events the task is requested from time to time.
    let mut events = client.follow_task(id).await.ok();
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    let mut last_answer = began;
    loop {
        let left = limit.map(|limit| limit.saturating_sub(began.elapsed()));
        if left == Some(Duration::ZERO) {
            return Ok(WaitOutcome::LimitReached);
        }
        let period = if bar.is_visible() { VISIBLE_WAIT } else { HIDDEN_WAIT };
        let period = left.map_or(period, |left| left.min(period));
        // Without a bar, or once the bar shows the start, only the end of the task matters.
        let waits_for_end = !bar.is_visible() || bar.shows_start();
        let request = async {
            match &mut events {
                Some(stream) => {
                    let item = timeout(period, stream.next()).await;
                    if matches!(item, Ok(Ok(None) | Err(_))) {
                        events = None;
                    }
                    client.get(id).await
                }
                None if waits_for_end => client.wait(id, period).await,
                None => client.get(id).await,
            }
        };
        let answer = tokio::select! {
            answer = bar.draw_while(request) => answer,
            _ = &mut interrupted => return Ok(WaitOutcome::Interrupted),
        };
        match answer {
            Ok(task) if task.status.is_final() => return Ok(WaitOutcome::Ended(Box::new(task))),
            Ok(task) => {
                last_answer = Instant::now();
                if bar.is_visible() && !bar.follows(&task) {
                    bar.follow(&task, time_since_start(client, &task, submitted).await);
                }
                if bar.is_visible() && !bar.shows_start() && events.is_none() {
                    let pause = left.map_or(START_PERIOD, |left| left.min(START_PERIOD));
                    bar.draw_while(tokio::time::sleep(pause)).await;
                }
            }
            Err(error) if error.is_temporary() && last_answer.elapsed() < MAX_OUTAGE => {
                bar.draw_while(tokio::time::sleep(VISIBLE_WAIT)).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// How long ago the task started; zero if it has not. The dates of a task are of the server's clock, from which that of this machine may
/// differ: they are compared with each other if this command has submitted the task, else with the server's clock.
async fn time_since_start(client: &Client, task: &Task, submitted: Option<Instant>) -> Duration {
    let Some(start) = task.start_date else { return Duration::ZERO };
    let micros = |span: i64| Duration::from_micros(u64::try_from(span).unwrap_or(0));
    if let Some(at) = submitted {
        return at.elapsed().saturating_sub(micros(start.micros_since(task.creation_date)));
    }
    let now = client.server_time().await.ok().flatten();
    now.map_or(Duration::ZERO, |now| micros(now.micros_since(start)))
}

/// Prints the newest tasks, the oldest of them first, then each change, until Ctrl-C.
async fn print_changes(server: &Server, client: &Client, view: &View) -> Result<Exit> {
    let mut printer = ChangePrinter { server, client, view, known: HashMap::new() };
    let mut interrupted = pin!(tokio::signal::ctrl_c());
    tokio::select! {
        ended = printer.print_all() => ended,
        _ = &mut interrupted => Ok(Exit::Done),
    }
}

/// Prints changes of the user's tasks.
struct ChangePrinter<'a> {
    server: &'a Server,
    client: &'a Client,
    view: &'a View,
    /// The tasks that were printed last, and as what.
    known: HashMap<TaskId, Status>,
}

impl ChangePrinter<'_> {
    /// Prints changes as events bring them, or as the list shows them where the server has no events. Returns only on a failure.
    async fn print_all(&mut self) -> Result<Exit> {
        let (mut last_answer, mut last_event) = (Instant::now(), None);
        loop {
            match self.client.follow_tasks(last_event.as_deref()).await {
                Ok(mut stream) => {
                    let printed = self.print_events(&mut stream).await;
                    last_event = stream.last_id().map(str::to_owned);
                    if let Err(error) = printed
                        && !is_temporary(&error)
                    {
                        return Err(error);
                    }
                    last_answer = Instant::now();
                }
                Err(error) if error.is_temporary() && last_answer.elapsed() < MAX_OUTAGE => {}
                Err(error) if error.problem().is_some_and(|problem| problem.status == 404) => {
                    self.print_list_changes().await?;
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(LIST_PERIOD).await;
        }
    }

    /// Prints what a stream brings, until its end.
    async fn print_events(&mut self, stream: &mut EventStream) -> Result<()> {
        while let Some(item) = stream.next().await? {
            match item {
                StreamItem::Reset => self.print_list_changes().await?,
                StreamItem::Event(event) => {
                    let is_known = self.known.insert(event.id, event.status) == Some(event.status);
                    if !is_known || event.event == TaskEventKind::Progress {
                        let table = |event: &TaskEvent| self.view.event(event);
                        self.server.output.print(&*event, table, |event| vec![event.id.to_string()])?;
                    }
                    if event.status.is_final() && self.known.len() > 2 * WATCHED_TASKS as usize {
                        self.known.retain(|_, status| !status.is_final());
                    }
                }
            }
        }
        Ok(())
    }

    /// Prints the tasks of the list that have changed.
    async fn print_list_changes(&mut self) -> Result<()> {
        let page = PageRequest::newest(WATCHED_TASKS);
        let found = self.client.list(page).await?;
        let is_changed = |task: &&TaskSummary| self.known.get(&task.id) != Some(&task.status);
        for task in found.tasks.iter().rev().filter(is_changed) {
            let table = |task: &&TaskSummary| self.view.summary(task);
            self.server.output.print(&task, table, |task| vec![task.id.to_string()])?;
        }
        self.known.extend(found.tasks.into_iter().map(|task| (task.id, task.status)));
        Ok(())
    }
}

/// Whether another try may succeed.
fn is_temporary(error: &anyhow::Error) -> bool {
    error.downcast_ref::<ClientError>().is_some_and(ClientError::is_temporary)
}
