//! The examples of programs as operations, each run by the commands of their README.

use std::fs::{read_dir, read_to_string};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::kit::book::{blocks, run_script};
use crate::kit::tasker_up::TaskerUp;

/// The directory of the examples.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");

/// Starts a `tasker up` beside a copy of the examples, with the operation in the directory `name`. Runs the commands of the README that name
/// the operation, and returns its result.
fn run_example(name: &str, operation: &str) -> Value {
    let home = TempDir::new().expect("a temporary directory can be created");
    run_script(home.path(), &format!("cp -r '{EXAMPLES}' examples"));
    let readme = read_to_string(Path::new(EXAMPLES).join("README.md")).expect("the examples have a README");
    let row = readme.lines().find(|line| line.starts_with(&format!("| [{name}]({name}) | `{operation}` |")));
    let row = row.expect("the README lists the example");
    if let Some((_, rest)) = row.split_once("First run `") {
        let (command, _) = rest.split_once("` there").expect("the command ends");
        run_script(&home.path().join("examples").join(name), command);
    }
    let commands = blocks(&readme, "# Examples", "sh").concat();
    let line_with = |part: &str| {
        let line = commands.lines().find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("the README has no command with {part}"))
    };
    let check = line_with("tasker operation check").replace("word_count", name);
    let checked = run_script(home.path(), &check);
    assert!(checked.starts_with(operation) && checked.contains("ok\n"), "{checked}");
    let (_, setting) = line_with("tasker up").split_once("--set ").expect("`tasker up` has a setting");
    let up = TaskerUp::start_in(home, &[&setting.replace("word_count", name)]);
    let printed = run_script(up.home(), line_with(&format!("submit {operation} ")));
    serde_json::from_str(printed.lines().last().unwrap_or_default()).expect("the result is JSON")
}

#[test]
fn the_example_in_python_counts_words() {
    let expected = serde_json::json!({"words": 6, "lines": 1, "characters": 18});
    assert_eq!(run_example("word_count", "WORD_COUNT"), expected);
}

#[test]
fn the_example_in_shell_adds_up_a_directory() {
    let result = run_example("disk_usage", "DISK_USAGE");
    let is_hidden = |name: &str| name.starts_with('.');
    let entries = read_dir("/usr/share/doc").expect("the directory can be read").filter_map(Result::ok);
    let shown = entries.filter(|entry| !is_hidden(&entry.file_name().to_string_lossy())).count();
    assert_eq!(result["entries"], shown, "{result}");
    assert!(result["kibibytes"].as_u64().is_some_and(|size| size > 0), "{result}");
}

#[test]
fn the_compiled_example_counts_primes() {
    assert_eq!(run_example("compiled", "COUNT_PRIMES"), 216_816);
}
