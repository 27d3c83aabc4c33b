//! The commands and files that the book shows.

use std::path::Path;
use std::process::Command;

use crate::kit::command::run;

/// The contents of the blocks of a `language` below `heading`, up to the next heading of this level or a higher one. A block in a
/// list is indented there, and not here.
pub fn blocks(page: &str, heading: &str, language: &str) -> Vec<String> {
    let level = heading.split(' ').next().expect("a heading begins with its level");
    let is_end =
        |line: &str| line.split(' ').next().is_some_and(|mark| level.starts_with(mark) && !mark.is_empty());
    let (mut blocks, mut language_of_block) = (Vec::<String>::new(), None);
    let (mut is_below, mut indent) = (false, 0);
    for line in page.lines() {
        let text = line.trim_start();
        match (text.strip_prefix("```"), language_of_block) {
            (Some(name), None) => {
                (language_of_block, indent) = (Some(name), line.len() - text.len());
                if is_below && name == language {
                    blocks.push(String::new());
                }
            }
            (Some(_), Some(_)) => language_of_block = None,
            (None, None) => is_below = line == heading || is_below && !is_end(line),
            (None, Some(name)) if is_below && name == language => {
                let block = blocks.last_mut().expect("the block was begun");
                *block = format!("{block}{}\n", line.get(indent..).unwrap_or_default());
            }
            (None, Some(_)) => {}
        }
    }
    assert!(!blocks.is_empty(), "the page has no {language} below {heading}");
    blocks
}

/// Runs a script in bash in the directory `home`, with `tasker` in the path, and returns its standard output. Panics if a command
/// fails.
pub fn run_script(home: &Path, script: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_tasker")).parent().expect("the binary is in a directory");
    let mut shell = Command::new("bash");
    shell.args(["-ec", script]).current_dir(home).env_clear();
    let output = run(shell.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display())));
    assert_eq!(output.code, 0, "$ {script}\n{}{}", output.stdout, output.stderr);
    output.stdout
}
