//! The terminal sessions of the README and of the book: each command is run and must print what the page shows. `…` in a page
//! stands for any text.

use std::path::Path;
use std::process::Command;

use crate::kit::tasker_up::TaskerUp;

const README: &str = include_str!("../../../../README.md");

/// The pages of the book with sessions, which assume a running `tasker up`.
const PAGES: [(&str, &str); 7] = [
    ("first-minutes.md", include_str!("../../../../docs/first-minutes.md")),
    ("command-line.md", include_str!("../../../../docs/command-line.md")),
    ("api.md", include_str!("../../../../docs/api.md")),
    ("schedules.md", include_str!("../../../../docs/schedules.md")),
    ("settings.md", include_str!("../../../../docs/settings.md")),
    ("accounts.md", include_str!("../../../../docs/accounts.md")),
    ("running.md", include_str!("../../../../docs/running.md")),
];

/// The line that separates the outputs of two commands.
const SEPARATOR: &str = "--- next ---";

/// A command of a page and the lines that the page shows after it.
struct Step {
    command: String,
    output: Vec<String>,
}

/// The steps of every `console` block of a page.
fn parse_steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        match (line, line.strip_prefix("$ ")) {
            ("```console", _) => inside = true,
            ("```", _) => inside = false,
            (_, Some(command)) if inside => {
                steps.push(Step { command: command.to_owned(), output: Vec::new() });
            }
            _ if inside => {
                let step = steps.last_mut().expect("a block begins with a command");
                step.output.push(line.to_owned());
            }
            _ => {}
        }
    }
    steps
}

/// Whether `line` is `pattern` with any text in the place of each `…`.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((first, others)) = pattern.split_once('…') else { return pattern == line };
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = others.split('…').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// Asserts that a command has printed what the page shows.
fn assert_output(step: &Step, printed: &[&str]) {
    let Step { command, output } = step;
    let is_match = output.len() == printed.len()
        && output.iter().zip(printed).all(|(pattern, line)| matches(pattern, line));
    let (expected, printed) = (output.join("\n"), printed.join("\n"));
    assert!(is_match, "$ {command}\nthe page shows:\n{expected}\nthe command prints:\n{printed}");
}

/// Runs the commands in one shell, as a reader does, and returns what each of them printed.
fn run_in_shell(home: &Path, commands: &[&str]) -> Vec<String> {
    let script = commands.join(&format!("\necho\necho '{SEPARATOR}'\n"));
    let binary = Path::new(env!("CARGO_BIN_EXE_tasker")).parent().expect("the binary is in a directory");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display());
    let shell = Command::new("bash")
        .args(["-c", &format!("exec 2>&1\n{script}")])
        .current_dir(home)
        // The session, the token and the settings of the person who runs the test must not be used.
        .env_clear()
        .env("PATH", path)
        .env("XDG_STATE_HOME", home.join("state"))
        .output();
    let output = String::from_utf8(shell.expect("a shell can be started").stdout).expect("UTF-8");
    output.split(&format!("{SEPARATOR}\n")).map(|printed| printed.trim_end().to_owned()).collect()
}

/// The steps of a page, with the addresses and the setup link of this `tasker up`.
fn steps_for(up: &TaskerUp, page: &str) -> Vec<Step> {
    let page = page
        .replace("http://127.0.0.1:8080", &up.backend_url)
        .replace("http://127.0.0.1:8081", &up.identity_url);
    let (_, token) = up.setup_link.split_once("setup=").expect("the link holds a registration token");
    parse_steps(&page.replace("THE-END-OF-THE-LINK", token))
}

fn run_and_check(up: &TaskerUp, steps: &[Step]) {
    let commands: Vec<&str> = steps.iter().map(|step| step.command.as_str()).collect();
    for (step, printed) in steps.iter().zip(run_in_shell(up.home(), &commands)) {
        assert_output(step, &printed.lines().collect::<Vec<_>>());
    }
}

#[test]
fn the_sessions_of_the_book_print_what_it_shows() {
    for (name, page) in PAGES {
        let up = TaskerUp::start();
        let steps = steps_for(&up, page);
        assert!(!steps.is_empty(), "{name} has no session");
        run_and_check(&up, &steps);
    }
}

#[test]
fn the_session_of_the_readme_prints_what_it_shows() {
    let mut up = TaskerUp::start();
    let printed = up.process().output().to_vec();
    let steps = steps_for(&up, README);
    let (start, rest) = steps.split_first().expect("the README has a session");
    assert_eq!(start.command, "cargo run --release -- up");
    assert_output(start, &printed.iter().map(String::as_str).collect::<Vec<_>>());

    assert!(rest.len() > 5, "the session has {} more commands", rest.len());
    run_and_check(&up, rest);
}

#[test]
fn an_ellipsis_matches_any_text_and_everything_else_itself() {
    assert!(matches("id …, …", "id 7, done"));
    assert!(matches("\"…\"", "\"abc\""));
    assert!(matches("all", "all"));
    assert!(!matches("all", "all of it"));
    assert!(!matches("id …, done", "id 7, not yet"));
}
