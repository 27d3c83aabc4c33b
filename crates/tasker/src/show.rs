//! What is printed: data to standard output, remarks and errors to standard error.

use std::io::{ErrorKind, IsTerminal, Result, Write, stderr, stdout};

use client::ClientError;
use domain::Problem;

/// Prints a line of data. A reader that has gone (`tasker list | head -1`) is no error.
pub fn line(text: &str) -> Result<()> {
    let mut out = stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Prints a remark. There is nobody to tell if even that fails.
pub fn note(text: &str) {
    let _ = writeln!(stderr(), "{text}");
}

/// Prints why a command failed, with what can be done about it.
pub fn error(error: &anyhow::Error) {
    note(&format!("error: {}", sentence(error)));
}

/// Draws a line that the next one replaces; only where somebody is looking.
pub fn progress(text: &str) {
    if stderr().is_terminal() {
        let _ = write!(stderr(), "\r\x1b[2K{text}");
    }
}

fn sentence(error: &anyhow::Error) -> String {
    match error.downcast_ref::<ClientError>() {
        Some(ClientError::Refused { problem, .. }) => problem_text(problem),
        Some(ClientError::Unreachable { .. }) => {
            format!("{error}: {}\nis `tasker up` running?", error.root_cause())
        }
        Some(ClientError::Untrusted { .. }) => {
            format!("{error:#}\nis its authority in the file that --tls-ca or TASKER_TLS_CA names?")
        }
        _ => format!("{error:#}"),
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
