//! The README's first five minutes, run word for word; `…` stands for what differs each time.

use std::path::Path;
use std::process::Command;

use crate::process::Up;

const README: &str = include_str!("../../../../README.md");

/// Between the outputs of two commands.
const MARK: &str = "--- next ---";

/// A command and the lines that it prints.
struct Step {
    command: String,
    output: Vec<String>,
}

/// The steps of every `console` block.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => inside = true,
            ("```", _) => inside = false,
            (_, Some(command)) if inside => {
                steps.push(Step { command: command.to_owned(), output: Vec::new() });
            }
            _ if inside => steps.last_mut().expect("a command comes first").output.push(line.to_owned()),
            _ => {}
        }
    }
    steps
}

/// Whether `line` is `pattern` with something in the place of each `…`.
fn matches(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

fn check(command: &str, expected: &[String], said: &[&str]) {
    let fits = expected.len() == said.len()
        && expected.iter().zip(said).all(|(pattern, line)| matches(pattern, line));
    assert!(fits, "$ {command}\nshould say:\n{}\nand says:\n{}", expected.join("\n"), said.join("\n"));
}

/// Runs the commands in one shell, as a reader does, and returns what each printed.
fn run(home: &Path, commands: &[String]) -> Vec<String> {
    let script = commands.join(&format!("\necho\necho '{MARK}'\n"));
    let binary = Path::new(env!("CARGO_BIN_EXE_tasker")).parent().expect("it is in a directory");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display());
    let shell = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(home)
        .env("PATH", path)
        .output();
    let output = String::from_utf8(shell.expect("a shell").stdout).expect("text");
    output.split(&format!("{MARK}\n")).map(|said| said.trim_end().to_owned()).collect()
}

#[test]
fn the_readmes_five_minutes_are_true() {
    let mut up = Up::start();
    let (at, printed) = (up.addresses(), up.process().seen().to_vec());
    let here =
        README.replace("http://127.0.0.1:8080", &at.backend).replace("http://127.0.0.1:8081", &at.identity);
    let steps = steps(&here);
    let (start, rest) = steps.split_first().expect("the README has a transcript");
    assert_eq!(start.command, "cargo run --release -- up");
    check(&start.command, &start.output, &printed.iter().map(String::as_str).collect::<Vec<_>>());

    assert!(rest.len() > 5, "the transcript is longer than that");
    let commands: Vec<String> = rest.iter().map(|step| step.command.clone()).collect();
    for (step, said) in rest.iter().zip(run(up.home(), &commands)) {
        check(&step.command, &step.output, &said.lines().collect::<Vec<_>>());
    }
}

#[test]
fn an_ellipsis_stands_for_anything_and_the_rest_for_itself() {
    assert!(matches("id …, …", "id 7, done"));
    assert!(matches("\"…\"", "\"abc\""));
    assert!(matches("all", "all"));
    assert!(!matches("all", "all of it"));
    assert!(!matches("id …, done", "id 7, not yet"));
}
