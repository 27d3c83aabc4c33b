//! The terminal sessions of the README and of the book, run word for word; `…` stands for what differs each time.

use std::path::Path;
use std::process::Command;

use crate::kit::process::Up;

const README: &str = include_str!("../../../../README.md");

/// Pages of the book whose sessions begin beside a `tasker up`.
const PAGES: [(&str, &str); 6] = [
    ("first-minutes.md", include_str!("../../../../docs/first-minutes.md")),
    ("command-line.md", include_str!("../../../../docs/command-line.md")),
    ("api.md", include_str!("../../../../docs/api.md")),
    ("settings.md", include_str!("../../../../docs/settings.md")),
    ("accounts.md", include_str!("../../../../docs/accounts.md")),
    ("running.md", include_str!("../../../../docs/running.md")),
];

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
    // A sign-in of whoever runs the test is none of ours.
    let state = home.join("state");
    let shell = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(home)
        .env("PATH", path)
        .env("XDG_STATE_HOME", state)
        .env_remove("TASKER_TOKEN")
        .output();
    let output = String::from_utf8(shell.expect("a shell").stdout).expect("text");
    output.split(&format!("{MARK}\n")).map(|said| said.trim_end().to_owned()).collect()
}

/// The steps of a text, as they are where this `tasker up` listens.
fn steps_beside(up: &Up, text: &str) -> Vec<Step> {
    let at = up.addresses();
    let text =
        text.replace("http://127.0.0.1:8080", &at.backend).replace("http://127.0.0.1:8081", &at.identity);
    let (_, proof) = up.setup.split_once("setup=").expect("a setup link");
    steps(&text.replace("THE-END-OF-THE-LINK", proof))
}

fn run_and_check(up: &Up, steps: &[Step]) {
    let commands: Vec<String> = steps.iter().map(|step| step.command.clone()).collect();
    for (step, said) in steps.iter().zip(run(up.home(), &commands)) {
        check(&step.command, &step.output, &said.lines().collect::<Vec<_>>());
    }
}

#[test]
fn the_sessions_of_the_book_are_true() {
    for (page, text) in PAGES {
        let up = Up::start();
        let steps = steps_beside(&up, text);
        assert!(!steps.is_empty(), "{page} has sessions");
        run_and_check(&up, &steps);
    }
}

#[test]
fn the_readmes_five_minutes_are_true() {
    let mut up = Up::start();
    let printed = up.process().seen().to_vec();
    let steps = steps_beside(&up, README);
    let (start, rest) = steps.split_first().expect("the README has a transcript");
    assert_eq!(start.command, "cargo run --release -- up");
    check(&start.command, &start.output, &printed.iter().map(String::as_str).collect::<Vec<_>>());

    assert!(rest.len() > 5, "the transcript is longer than that");
    run_and_check(&up, rest);
}

#[test]
fn an_ellipsis_stands_for_anything_and_the_rest_for_itself() {
    assert!(matches("id …, …", "id 7, done"));
    assert!(matches("\"…\"", "\"abc\""));
    assert!(matches("all", "all"));
    assert!(!matches("all", "all of it"));
    assert!(!matches("id …, done", "id 7, not yet"));
}
