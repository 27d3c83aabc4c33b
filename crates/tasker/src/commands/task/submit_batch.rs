//! `tasker submit --batch`: submits the tasks of a file, one JSON object a line, up to a thousand at a time.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::path::Path;

use anyhow::{Context, Result};
use client::{Client, ClientError};
use domain::limits::{MAX_BATCH_BYTES, MAX_TASKS_PER_BATCH};
use domain::{Fault, IdempotencyKey, RawJson, TaskId};
use indicatif::{ProgressBar, ProgressDrawTarget};
use serde::Serialize;

use crate::commands::connection_target::Server;
use crate::config::error::ConfigError;
use crate::terminal;

/// The most bytes of the lines of one request: the body has commas and brackets, too.
const MAX_REQUEST_BYTES: usize = MAX_BATCH_BYTES as usize - 64 * 1024;

/// The ids of the tasks of one request.
#[derive(Serialize)]
struct SubmittedBatch {
    ids: Vec<TaskId>,
}

/// Lines that are submitted with one request.
#[derive(Default)]
struct Batch {
    tasks: Vec<RawJson>,
    /// The number of the line of each task.
    lines: Vec<usize>,
    bytes: usize,
}

/// Submits the tasks of the file `path` (`-`: standard input), prints the ids of each request when it is accepted, and shows the
/// progress on a terminal. The requests have keys that follow from `key`, so that the whole may be repeated.
///
/// # Errors
///
/// If the file cannot be read, a line is not JSON, or a request is refused: then nothing of it and of the lines after it is submitted.
pub async fn submit_file(server: &Server, client: &Client, path: &Path, key: &IdempotencyKey) -> Result<()> {
    let mut lines = open(path)?.lines().enumerate();
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let (mut submitted, mut requests) = (0, 0);
    let mut next = None;
    loop {
        let batch = read_batch(&mut lines, &mut next)?;
        if batch.tasks.is_empty() {
            break;
        }
        let key = key_of_request(key, requests)?;
        let ids = client.submit_batch(&batch.tasks, &key).await.map_err(|error| {
            bar.finish_and_clear();
            if submitted > 0 {
                let first = batch.lines[0];
                terminal::print_note(&format!(
                    "{submitted} tasks are submitted; of line {first} and those after it none is"
                ));
            }
            with_lines(error, &batch.lines)
        })?;
        (submitted, requests) = (submitted + ids.len(), requests + 1);
        let text = |batch: &SubmittedBatch| batch.ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        bar.suspend(|| server.output.print(&SubmittedBatch { ids }, |batch| text(batch).join("\n"), text))?;
        bar.set_message(format!("{submitted} tasks"));
        bar.tick();
    }
    bar.finish_and_clear();
    if submitted == 0 {
        return Err(ConfigError::new("the file has no tasks: write one JSON object a line").into());
    }
    terminal::print_note_on_terminal(&format!("submitted {submitted} tasks"));
    Ok(())
}

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(stdin())));
    }
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

/// The next lines that fit into one request. `next` is the line that did not fit into the last one.
fn read_batch(
    lines: &mut impl Iterator<Item = (usize, std::io::Result<String>)>,
    next: &mut Option<(usize, RawJson)>,
) -> Result<Batch> {
    let mut batch = Batch::default();
    while batch.tasks.len() < MAX_TASKS_PER_BATCH {
        let Some((line, task)) = next.take().map_or_else(|| read_task(lines), |task| Ok(Some(task)))? else {
            break;
        };
        let bytes = task.text().len() + 1;
        if !batch.tasks.is_empty() && batch.bytes + bytes > MAX_REQUEST_BYTES {
            *next = Some((line, task));
            break;
        }
        batch.bytes += bytes;
        batch.tasks.push(task);
        batch.lines.push(line);
    }
    Ok(batch)
}

/// The task of the next line that is not blank, with the number of the line.
fn read_task(
    lines: &mut impl Iterator<Item = (usize, std::io::Result<String>)>,
) -> Result<Option<(usize, RawJson)>> {
    for (index, line) in lines {
        let line = line.context("the tasks cannot be read")?;
        let text = line.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            continue;
        }
        let number = index + 1;
        let task = RawJson::parse(text.to_owned());
        let task = task.map_err(|error| ConfigError::new(format!("line {number} is not JSON: {error}")))?;
        return Ok(Some((number, task)));
    }
    Ok(None)
}

/// The key of the request with this index: the first one's is the key itself.
fn key_of_request(key: &IdempotencyKey, index: usize) -> Result<IdempotencyKey> {
    if index == 0 {
        return Ok(key.clone());
    }
    Ok(format!("{key}/{index}").parse()?)
}

/// The error with the number of the line where a fault names the index of a task.
fn with_lines(mut error: ClientError, lines: &[usize]) -> ClientError {
    if let ClientError::Refused { problem, .. } = &mut error {
        for fault in &mut problem.errors {
            if let Some(pointer) = pointer_with_line(fault, lines) {
                fault.pointer = pointer;
            }
        }
    }
    error
}

fn pointer_with_line(fault: &Fault, lines: &[usize]) -> Option<String> {
    let rest = fault.pointer.strip_prefix("/tasks/")?;
    let (index, member) = rest.split_once('/').unwrap_or((rest, ""));
    let line = lines.get(index.parse::<usize>().ok()?)?;
    Some(if member.is_empty() { format!("line {line}") } else { format!("line {line}, /{member}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Vec<usize>, usize)> {
        let mut lines = text.lines().map(|line| Ok(line.to_owned())).enumerate();
        let (mut next, mut batches) = (None, Vec::new());
        loop {
            let batch = read_batch(&mut lines, &mut next).unwrap();
            if batch.tasks.is_empty() {
                return batches;
            }
            batches.push((batch.lines, batch.bytes));
        }
    }

    #[test]
    fn a_request_has_a_thousand_lines_or_as_many_bytes_as_it_may_have() {
        assert_eq!(read("{}\n\n {} \n"), [(vec![1, 3], 6)]);
        let many = "{}\n".repeat(1001);
        assert_eq!(read(&many).iter().map(|(lines, _)| lines.len()).collect::<Vec<_>>(), [1000, 1]);
        let large = format!("\"{}\"\n", "x".repeat(4 << 20));
        assert_eq!(
            read(&large.repeat(3)).iter().map(|(lines, _)| lines.clone()).collect::<Vec<_>>(),
            [[1], [2], [3]]
        );
    }

    #[test]
    fn a_fault_names_its_line() {
        let at = |pointer: &str| {
            let fault = Fault { pointer: pointer.to_owned(), detail: String::new() };
            pointer_with_line(&fault, &[7, 9])
        };
        assert_eq!(at("/tasks/1/ttl").as_deref(), Some("line 9, /ttl"));
        assert_eq!(at("/tasks/0").as_deref(), Some("line 7"));
        assert_eq!(at("/tasks"), None);
    }
}
