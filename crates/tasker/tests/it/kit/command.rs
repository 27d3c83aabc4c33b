//! The binary as a command that ends by itself: its arguments, its standard input, its output and its exit code.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// `tasker` with `arguments`, in the directory `home` and with an empty environment.
pub fn tasker_command<'a>(home: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tasker"));
    command.current_dir(home).env_clear().args(arguments);
    command
}

/// The arguments that give `settings` (`key=value`) to a command.
pub fn set_arguments<'a, S: AsRef<str> + ?Sized + 'a>(
    settings: impl IntoIterator<Item = &'a S>,
) -> impl Iterator<Item = &'a str> {
    settings.into_iter().flat_map(|setting| ["--set", setting.as_ref()])
}

/// The exit code and the output of a command that has ended.
#[derive(Debug)]
pub struct CommandOutput {
    /// The exit code of the process.
    pub code: i32,
    /// Standard output, without the newline at the end.
    pub stdout: String,
    /// Standard error, without the newline at the end.
    pub stderr: String,
}

/// Runs a command to its end, with an empty standard input. Panics if a signal ended the command.
pub fn run(command: &mut Command) -> CommandOutput {
    run_with_input(command, "")
}

/// Runs a command to its end, with `input` as its standard input. Panics if a signal ended the command.
pub fn run_with_input(command: &mut Command, input: &str) -> CommandOutput {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    // Writing fails if the command has ended without reading its input, which is no failure of the test.
    let _ = child.stdin.take().expect("standard input is a pipe").write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().expect("the child process is ours");
    let text = |bytes| String::from_utf8(bytes).expect("the output is UTF-8").trim_end().to_owned();
    let code = status.code().expect("no signal ended the command");
    CommandOutput { code, stdout: text(stdout), stderr: text(stderr) }
}
