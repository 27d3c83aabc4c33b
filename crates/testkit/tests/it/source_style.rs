//! How a source file looks: how it begins, how long it is, where it lies, and what it must not hold.

use std::path::{Path, PathBuf};

use crate::kit::workspace_files::{assert_none, crates, files_below, read, shortened};

/// The number of lines that a file has at most.
const MAX_LINES: usize = 400;

/// Marks of unfinished work. (Each is in two pieces, so that this file holds none of them.)
const UNFINISHED_MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimplement", "ed!"),
    concat!("#[ig", "nore"),
];

/// Calls that wait for a fixed time.
const SLEEP_CALLS: &[&str] = &[concat!("thread::", "sleep"), concat!("time::", "sleep(")];

/// Names of files and folders that do not say what belongs there.
const VAGUE_PATHS: &[&str] = &["common", "helper", "helpers", "models", "types", "util", "utils"];

/// A reader who opens a file wants to know whether it is the right one before reading its code.
#[test]
fn every_file_begins_with_a_sentence_that_describes_it() {
    let without = files("src").into_iter().filter(|path| !read(path).starts_with("//! "));
    assert_none(without.map(|path| place(&path, 1)));
}

/// A longer file holds more than one subject, and nobody reads it in one go.
#[test]
fn no_file_is_longer_than_400_lines() {
    let lengths = files("src").into_iter().map(|path| (read(&path).lines().count(), path));
    let too_long = lengths.filter(|(lines, _)| *lines > MAX_LINES);
    assert_none(too_long.map(|(lines, path)| place(&path, lines)));
}

/// What is unfinished is an issue in the tracker: a mark in the code is forgotten there, and an ignored test tests nothing.
#[test]
fn no_file_holds_a_mark_of_unfinished_work() {
    let (src, tests) = (lines_with(UNFINISHED_MARKS, "src"), lines_with(UNFINISHED_MARKS, "tests"));
    assert_none(src.into_iter().chain(tests));
}

/// A fixed time is too short on a slow machine and wasted on a fast one. A test waits for an event, or sets a clock.
#[test]
fn no_test_sleeps() {
    assert_none(lines_with(SLEEP_CALLS, "tests"));
}

/// Whatever lies in a folder such as `utils` belongs to a subject, and would be looked for there.
#[test]
fn every_path_says_what_is_in_the_file() {
    let is_vague = |path: &PathBuf| {
        let path = shortened(path).with_extension("");
        path.iter().any(|part| VAGUE_PATHS.iter().any(|vague| part == *vague))
    };
    assert_none(files("src").into_iter().filter(is_vague).map(|path| place(&path, 1)));
}

/// The Rust files in this folder of every crate.
fn files(folder: &str) -> Vec<PathBuf> {
    let files: Vec<_> = crates().iter().flat_map(|path| files_below(&path.join(folder), "rs")).collect();
    assert!(!files.is_empty(), "no crate has a file in {folder}");
    files
}

/// The lines that hold one of these texts, in this folder of every crate.
fn lines_with(texts: &[&str], folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder) {
        for (index, line) in read(&path).lines().enumerate() {
            if texts.iter().any(|text| line.contains(text)) {
                found.push(format!("{}: {}", place(&path, index + 1), line.trim()));
            }
        }
    }
    found
}

/// A place in a file in the form that editors open.
fn place(path: &Path, line: usize) -> String {
    format!("{}:{line}", shortened(path).display())
}
