//! What is printed: data to standard output, remarks and errors to standard error.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Result, Write, stderr, stdout};

use client::ClientError;
use domain::{Problem, Status};

use crate::config::Environment;

/// Prints a line of data.
pub fn line(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// The same of a service, which goes on though nobody reads.
pub fn tell(text: &str) -> Result<()> {
    match line(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Whether a command ended because its reader has gone (`tasker watch | head -1`): that is no error.
pub fn is_reader_gone(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Prints a remark. There is nobody to tell if even that fails.
pub fn note(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Prints why a command failed, with what can be done about it.
pub fn error(error: &anyhow::Error) {
    note(&format!("error: {}", plain(&sentence(error))));
    if let Some(hint) = error.downcast_ref().and_then(hint) {
        note(&format!("hint: {hint}"));
    }
}

/// Asks for something, on the same line.
pub fn prompt(text: &str) {
    let _ = write!(stderr(), "{text}");
}

/// Whether data on standard output may have colours: somebody sees them, and has not declined them (no-color.org).
pub fn colours(environment: &Environment) -> bool {
    let is_dumb = environment.get("TERM").is_none_or(|term| term == "dumb");
    stdout().is_terminal() && environment.get("NO_COLOR").is_none() && !is_dumb
}

/// A text of somebody else's: what would command the terminal is spelt out.
pub fn plain(text: &str) -> Cow<'_, str> {
    let commands = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
    if !text.contains(commands) {
        return Cow::Borrowed(text);
    }
    let spell = |character: char| {
        if commands(character) { character.escape_unicode().to_string() } else { character.to_string() }
    };
    Cow::Owned(text.chars().map(spell).collect())
}

/// Data as it is, byte for byte; on a terminal without what would command it.
pub fn data(text: &str) -> String {
    if stdout().is_terminal() { plain(text).into_owned() } else { text.to_owned() }
}

fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused { problem, .. }) => problem_text(problem),
        Some(ClientError::Unreachable { .. }) => format!("{error}: {}", error.root_cause()),
        _ => format!("{error:#}"),
    }
}

/// What can be done about it.
fn hint(error: &ClientError) -> Option<&'static str> {
    match error {
        // Somebody took the connection, and what came back was no HTTP.
        ClientError::Unreachable { url, source }
            if url.starts_with("http://") && !source.is_connect() && !source.is_timeout() =>
        {
            Some("does it speak TLS? Then its address begins with https://")
        }
        ClientError::Unreachable { .. } => Some("is `tasker up` running?"),
        ClientError::Untrusted { .. } => {
            Some("is its authority in the file that --tls-ca or TASKER_TLS_CA names?")
        }
        ClientError::Token { .. } if error.is_about_the_caller() => Some("`tasker login` signs in"),
        ClientError::Refused { problem, .. } => match (problem.status, problem.task_status) {
            (401, _) => Some("`tasker login` signs in"),
            (403, _) => {
                Some("`tasker whoami` shows the roles of this account; an administrator gives others")
            }
            (404, None) if problem.kind.ends_with(":no-such-task") => Some("`tasker list` shows your tasks"),
            (404, None) if problem.kind.ends_with(":no-such-user") => {
                Some("`tasker user list` shows the accounts")
            }
            (404, Some(Status::Created | Status::Running)) => {
                Some("`tasker watch ID` waits for the end of a task")
            }
            (503, _) => Some("try again in a moment"),
            _ => None,
        },
        _ => None,
    }
}

/// The title, what is behind it, and each fault with its place. A detail that only repeats the faults is left out.
fn problem_text(Problem { title, detail, errors, .. }: &Problem) -> String {
    let sentences: Vec<&str> = errors.iter().map(|fault| fault.detail.as_str()).collect();
    let head = if *detail == sentences.join("; ") { title.clone() } else { format!("{title}: {detail}") };
    let faults = errors.iter().map(|fault| {
        let pointer = if fault.pointer.is_empty() { "(the whole)" } else { &fault.pointer };
        format!("\n  {pointer}: {}", fault.detail)
    });
    head + &faults.collect::<String>()
}

#[cfg(test)]
mod tests {
    use domain::Fault;

    use super::*;

    #[test]
    fn a_problem_shows_every_fault_and_its_place() {
        let fault =
            |pointer: &str, detail: &str| Fault { pointer: pointer.to_owned(), detail: detail.to_owned() };
        let mut problem = Problem::new(422, "invalid", "Broken rules", "2 rules are broken");
        problem.errors = vec![fault("/ttl", "ttl is 0 ms"), fault("/parameters/length", "0 is below 1")];
        let faults = "\n  /ttl: ttl is 0 ms\n  /parameters/length: 0 is below 1";
        assert_eq!(problem_text(&problem), format!("Broken rules: 2 rules are broken{faults}"));
        problem.detail = "ttl is 0 ms; 0 is below 1".to_owned();
        assert_eq!(problem_text(&problem), format!("Broken rules{faults}"));
    }

    #[test]
    fn an_error_shows_its_causes() {
        let error = anyhow::anyhow!("no such file").context("the key cannot be read");
        assert_eq!(sentence(&error), "the key cannot be read: no such file");
    }
}
