//! `tasker submit`: submits a task, and with `--wait` waits for its end; or the tasks of a file.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use client::{Client, NewTask};
use domain::{IdempotencyKey, Label, Labels, RetryRequest, TaskId, Timestamp, Ttl, TypeName};
use serde::Serialize;

use crate::commands::connection_target::Server;
use crate::commands::task::submit_batch::submit_file;
use crate::commands::task::watch::wait_and_print;
use crate::commands::task::{label, parameters, ttl};
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::exit_code::Exit;
use crate::terminal;

/// Options of `tasker submit`.
#[derive(Debug, Args)]
pub struct Submit {
    /// The type of the task: the operation to run, such as `GENERATE_LOGIN`
    #[arg(value_name = "TYPE", required_unless_present = "batch")]
    name: Option<TypeName>,
    /// The parameters: JSON, `@FILE`, or `-` for standard input
    // Of JSON only a negative number begins with a hyphen; anything else that does is a misspelled option.
    #[arg(value_name = "JSON", allow_negative_numbers = true)]
    parameters: Option<String>,
    /// The time to live, counted from the start of the task: 500ms, 5s, 2m, 1h, 7d
    #[arg(long, value_parser = ttl::parse)]
    ttl: Option<Ttl>,
    /// The task may start this long after its submission: 10s, 2h, 7d
    #[arg(long, value_parser = ttl::parse, conflicts_with = "not_before")]
    delay: Option<Ttl>,
    /// The task may start from this date and time on, in the notation of RFC 3339: 2026-12-24T18:00:00Z
    #[arg(long, value_name = "DATE")]
    not_before: Option<Timestamp>,
    /// How long the task may wait for a worker once it may start; by default as long as the server says
    #[arg(long, value_name = "DURATION", value_parser = ttl::parse)]
    start_within: Option<Ttl>,
    /// A label, to find the task by; may be given up to 8 times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label::parse)]
    labels: Vec<Label>,
    /// The priority among the ready tasks of the type, 0 to 9: a higher one starts first; 4 by default
    #[arg(long, value_name = "0-9", value_parser = clap::value_parser!(u8).range(0..=9))]
    priority: Option<u8>,
    /// How many attempts may fail, the first one included; 1 by default
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
    max_attempts: Option<u32>,
    /// The pause before the second attempt; each further pause is twice as long. 1s by default
    #[arg(long, value_name = "DURATION", value_parser = ttl::parse, requires = "max_attempts")]
    backoff: Option<Ttl>,
    /// How long all attempts may take together, counted from the first start
    #[arg(long, value_name = "DURATION", value_parser = ttl::parse)]
    total_ttl: Option<Ttl>,
    /// The task may start when this task of yours has finished; may be given up to 100 times
    #[arg(long, value_name = "ID")]
    after: Vec<TaskId>,
    /// The result of this task becomes a member of the parameters; the task may start when it has finished
    #[arg(long, value_name = "MEMBER=ID", value_parser = parse_parameter_source)]
    parameter_from: Vec<(String, TaskId)>,
    /// Wait for the end of the task and print its result; `--wait=30s` waits at most 30 seconds. Ctrl-C ends the wait and
    /// not the task
    #[arg(long, value_name = "LIMIT", num_args = 0..=1, require_equals = true, value_parser = ttl::parse)]
    #[expect(clippy::option_option, reason = "absent, without a limit, with one: clap's form of that")]
    wait: Option<Option<Ttl>>,
    /// Submit the tasks of a file (`-`: standard input), one JSON object a line as in the API: `{"type": "ECHO", "ttl": 5000}`. Up to 1000
    /// lines are submitted at a time, all of them or none
    #[arg(long, value_name = "FILE",
        conflicts_with_all = ["name", "parameters", "ttl", "delay", "not_before", "start_within", "labels", "priority", "max_attempts",
            "backoff", "total_ttl", "after", "parameter_from", "wait"])]
    batch: Option<PathBuf>,
    /// A key for this submission: repeated with the same key within 24 hours, the command submits nothing more and prints the same
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<IdempotencyKey>,
    #[command(flatten)]
    server: Server,
}

/// The answer about a task whose end the command does not wait for.
#[derive(Serialize)]
struct Submitted {
    id: TaskId,
}

impl Submit {
    /// Submits the task, waits if asked to, and prints.
    pub async fn run(self, environment: &Environment) -> Result<Exit> {
        let parameters = self.parameters.as_deref().map(parameters::read).transpose()?;
        let client = self.server.connect(environment).await?;
        let key = self.idempotency_key.clone().unwrap_or_else(IdempotencyKey::random);
        let Some(name) = &self.name else {
            let file = self.batch.as_deref().expect("without a type there is a batch");
            submit_file(&self.server, &client, file, &key).await?;
            return Ok(Exit::Done);
        };
        let mut after = self.after;
        after.extend(self.parameter_from.iter().map(|(_, id)| *id));
        let labels = self.labels.into_iter().map(|Label { key, value }| (key, value));
        let task = NewTask {
            after,
            parameters_from: each_named_once("--parameter-from", self.parameter_from)?,
            parameters: parameters.as_ref(),
            ttl: self.ttl,
            not_before: self.not_before,
            delay_ms: self.delay.map(Ttl::millis),
            start_within_ms: self.start_within.map(Ttl::millis),
            labels: Labels(each_named_once("--label", labels)?),
            priority: self.priority.and_then(|priority| priority.try_into().ok()),
            max_attempts: self.max_attempts,
            retry: self
                .backoff
                .map(|pause| RetryRequest { backoff_ms: Some(pause.millis()), ..RetryRequest::default() }),
            total_ttl_ms: self.total_ttl.map(Ttl::millis),
            ..NewTask::of_type(name)
        };
        let id = client.submit_with_key(&task, &key).await?;
        print_or_wait(&self.server, &client, id, self.wait).await
    }
}

/// The values of an option by their names.
///
/// # Errors
///
/// If a name is given twice.
fn each_named_once<N: Ord + Clone + Display, V>(
    option: &str,
    values: impl IntoIterator<Item = (N, V)>,
) -> Result<BTreeMap<N, V>> {
    let mut by_name = BTreeMap::new();
    for (name, value) in values {
        if by_name.insert(name.clone(), value).is_some() {
            return Err(ConfigError::new(format!("{option}: {name} is given twice")).into());
        }
    }
    Ok(by_name)
}

/// Reads the member and the id of `--parameter-from`.
fn parse_parameter_source(text: &str) -> Result<(String, TaskId), String> {
    let (member, id) = text.split_once('=').ok_or("it is written MEMBER=ID")?;
    let id = id.parse().map_err(|_| format!("`{id}` is not the id of a task"))?;
    Ok((member.to_owned(), id))
}

/// Prints the id of a submitted task, or waits for the end of the task as `--wait` says.
#[expect(clippy::option_option, reason = "absent, without a limit, with one: clap's form of that")]
pub async fn print_or_wait(
    server: &Server,
    client: &Client,
    id: TaskId,
    wait: Option<Option<Ttl>>,
) -> Result<Exit> {
    let Some(limit) = wait else {
        let text = |task: &Submitted| task.id.to_string();
        server.output.print(&Submitted { id }, text, |task| vec![text(task)])?;
        return Ok(Exit::Done);
    };
    let submitted = Instant::now();
    // Printed first: whatever happens to the wait, the task can be found again.
    terminal::print_note(&format!("submitted {id}"));
    let limit = limit.map(|limit| Duration::from_millis(limit.millis()));
    wait_and_print(server, client, id, limit, Some(submitted)).await
}
