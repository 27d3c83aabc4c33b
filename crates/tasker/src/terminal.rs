//! Standard output and standard error: data goes to the first, remarks and errors to the second.

use std::borrow::Cow;
use std::io::{ErrorKind, IsTerminal, Result, Write, stderr, stdout};

use client::ClientError;
use domain::problem_types::accounts::NO_SUCH_USER;
use domain::problem_types::tasks::NO_SUCH_TASK;
use domain::{Problem, Status, is_control_or_invisible};

use crate::config::environment::Environment;

/// Prints a line of data to standard output.
pub fn print_line(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush())
}

/// Prints a line of a service to standard output. A closed pipe is no error: the service continues.
pub fn print_service_line(text: &str) -> Result<()> {
    match print_line(text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Whether a command ended because the reader of its output has closed the pipe (`tasker watch | head -1`), which is no
/// failure.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Prints a remark to standard error. A failure to print it is ignored: there is no other place to report it.
pub fn print_note(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Prints a remark that only a person needs: to standard error, if that is a terminal.
pub fn print_note_on_terminal(text: &str) {
    if stderr().is_terminal() {
        print_note(text);
    }
}

/// Prints why a command failed, and a hint where there is one, to standard error.
pub fn print_error(error: &anyhow::Error) {
    print_note(&format!("error: {}", escape_control_chars(&sentence(error))));
    if let Some(hint) = error.downcast_ref().and_then(hint) {
        print_note(&format!("hint: {hint}"));
    }
}

/// Prints a question to standard error, without a newline.
pub fn print_prompt(text: &str) {
    let _ = write!(stderr(), "{text}");
}

/// Whether standard output is a terminal with colours that the user has not switched off (<https://no-color.org>).
pub fn has_colours(environment: &Environment) -> bool {
    let is_dumb = environment.get("TERM").is_none_or(|term| term == "dumb");
    stdout().is_terminal() && environment.get("NO_COLOR").is_none() && !is_dumb
}

/// How many columns standard output has; `None` if it is no terminal.
pub fn columns() -> Option<usize> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(stdout())?;
    Some(usize::from(columns)).filter(|columns| *columns > 0)
}

/// Text from elsewhere with its display controls escaped, so that it cannot send control sequences or hide characters.
/// Newlines and tabs stay: [`indent`] the lines of a text that stands beside others.
pub fn escape_control_chars(text: &str) -> Cow<'_, str> {
    escape(text, |character| is_control_or_invisible(character) && !matches!(character, '\n' | '\t'))
}

/// Text from elsewhere as a part of one line: every display control is escaped, newlines and tabs too.
pub fn escape_line(text: &str) -> Cow<'_, str> {
    escape(text, is_control_or_invisible)
}

/// Text from elsewhere with every line after the first indented by `blanks` spaces, so that none looks like a line of Tasker's own.
pub fn indent(text: &str, blanks: usize) -> String {
    escape_control_chars(text).replace('\n', &format!("\n{:blanks$}", ""))
}

/// JSON with the display controls escaped that it allows in a text as they are (RFC 8259, section 7): the values stay the same. It must
/// have no line breaks between its tokens.
pub fn escape_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_control_or_invisible) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_control_or_invisible(character) {
            let mut units = [0; 2];
            escaped.extend(character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let escape = |character: char| {
        if is_escaped(character) { character.escape_default().to_string() } else { character.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

/// Data as it is, byte for byte; with control characters escaped if standard output is a terminal.
pub fn escape_on_terminal(text: &str) -> String {
    if stdout().is_terminal() { escape_control_chars(text).into_owned() } else { text.to_owned() }
}

fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused { problem, .. }) => problem_text(problem),
        Some(ClientError::Unreachable { .. }) => format!("{error}: {}", error.root_cause()),
        // Its parts are the server's.
        Some(_) => indent(&format!("{error:#}"), 2),
        _ => format!("{error:#}"),
    }
}

/// What the user can do about a failed request.
fn hint(error: &ClientError) -> Option<&'static str> {
    match error {
        // A connection was accepted, and the answer was not HTTP.
        ClientError::Unreachable { url, source }
            if url.starts_with("http://") && !source.is_connect() && !source.is_timeout() =>
        {
            Some("does it speak TLS? Then its address begins with https://")
        }
        ClientError::Unreachable { .. } => Some("is `tasker up` running?"),
        ClientError::Untrusted { .. } => {
            Some("is its authority in the file that --tls-ca or TASKER_TLS_CA names?")
        }
        ClientError::Token { .. } if error.is_caller_refused() => Some("`tasker login` signs in"),
        ClientError::Refused { problem, .. } => match (problem.status, problem.task_status) {
            (401, _) => Some("`tasker login` signs in"),
            (403, _) => {
                Some("`tasker whoami` shows the roles of this account; an administrator can change them")
            }
            (404, None) if problem.is(&NO_SUCH_TASK) => Some("`tasker list` shows your tasks"),
            (404, None) if problem.is(&NO_SUCH_USER) => Some("`tasker user list` shows the accounts"),
            (404, Some(Status::Created | Status::Running)) => {
                Some("`tasker watch ID` waits for the end of a task")
            }
            (503, _) => Some("try again in a moment"),
            _ => None,
        },
        _ => None,
    }
}

/// The title and detail of a problem, then each fault with its JSON pointer. A detail that only repeats the faults is left
/// out, and so is a title that the detail repeats.
fn problem_text(Problem { title, detail, errors, .. }: &Problem) -> String {
    let sentences: Vec<&str> = errors.iter().map(|fault| fault.detail.as_str()).collect();
    let head = if *detail == sentences.join("; ") {
        title.clone()
    } else if detail.to_lowercase().contains(&title.to_lowercase()) {
        detail.clone()
    } else {
        format!("{title}: {detail}")
    };
    let faults = errors.iter().map(|fault| {
        let pointer = if fault.pointer.is_empty() { "(the whole document)" } else { &fault.pointer };
        format!("\n  {}: {}", escape_line(pointer), indent(&fault.detail, 6))
    });
    indent(&head, 6) + &faults.collect::<String>()
}

#[cfg(test)]
mod tests {
    use domain::Fault;
    use domain::problem_types::accounts::INVALID;
    use domain::problem_types::tasks::NO_SUCH_TASK;

    use super::*;

    #[test]
    fn a_problem_shows_every_fault_and_its_pointer() {
        let fault =
            |pointer: &str, detail: &str| Fault { pointer: pointer.to_owned(), detail: detail.to_owned() };
        let mut problem = Problem::new(&INVALID, "2 rules are broken");
        problem.errors = vec![fault("/ttl", "ttl is 0 ms"), fault("/parameters/length", "0 is below 1")];
        let faults = "\n  /ttl: ttl is 0 ms\n  /parameters/length: 0 is below 1";
        assert_eq!(problem_text(&problem), format!("Invalid request: 2 rules are broken{faults}"));
        let no_task = Problem::new(&NO_SUCH_TASK, "there is no such task");
        assert_eq!(problem_text(&no_task), "there is no such task");
        let hostile = Problem::new(&INVALID, "one\n  /ttl: forged\u{202e}");
        assert_eq!(problem_text(&hostile), "Invalid request: one\n        /ttl: forged\\u{202e}");
        problem.detail = "ttl is 0 ms; 0 is below 1".to_owned();
        assert_eq!(problem_text(&problem), format!("Invalid request{faults}"));
    }

    #[test]
    fn an_error_shows_its_causes() {
        let error = anyhow::anyhow!("no such file").context("the key cannot be read");
        assert_eq!(sentence(&error), "the key cannot be read: no such file");
    }
}
