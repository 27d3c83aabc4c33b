//! How a file of ours looks.

use std::path::{Path, PathBuf};

use crate::{assert_none, crates, read, root, sources};

/// A file with more lines is two files.
const LONGEST: usize = 400;

/// What no line holds. (The words are in two pieces here, so that this file holds none of them.)
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("to", "do!"),
    concat!("unimplement", "ed!"),
    concat!("#[ig", "nore"),
];

/// A test waits for a signal or sets the clock; it never sleeps and hopes.
const SLEEPS: &[&str] = &[concat!("thread::", "sleep"), concat!("time::", "sleep(")];

/// Rooms for what has no room: whatever lies there belongs somewhere else.
const LUMBER_ROOMS: &[&str] =
    &["common", "helper", "helpers", "models", "services", "types", "util", "utils"];

#[test]
fn every_file_says_what_it_is() {
    let silent = files("src").into_iter().filter(|path| !read(path).starts_with("//! "));
    assert_none(silent.map(|path| at(&path, 1)));
}

#[test]
fn no_file_is_longer_than_a_sitting() {
    let lengths = files("src").into_iter().map(|path| (read(&path).lines().count(), path));
    let long = lengths.filter(|(lines, _)| *lines > LONGEST);
    assert_none(long.map(|(lines, path)| at(&path, lines)));
}

#[test]
fn nothing_is_left_unfinished() {
    assert_none(lines_with(UNFINISHED, "src").into_iter().chain(lines_with(UNFINISHED, "tests")));
}

#[test]
fn no_test_sleeps() {
    assert_none(lines_with(SLEEPS, "tests"));
}

#[test]
fn every_room_has_a_name() {
    let lumber = |path: &PathBuf| {
        short(path).with_extension("").iter().any(|part| LUMBER_ROOMS.iter().any(|room| part == *room))
    };
    assert_none(files("src").into_iter().filter(lumber).map(|path| at(&path, 1)));
}

/// The Rust files in this part of every crate.
fn files(part: &str) -> Vec<PathBuf> {
    let files: Vec<_> = crates().iter().flat_map(|path| sources(&path.join(part))).collect();
    assert!(!files.is_empty(), "no crate has a file in {part}");
    files
}

/// The lines that hold one of these words, in this part of every crate.
fn lines_with(words: &[&str], part: &str) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(part) {
        for (index, line) in read(&path).lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}: {}", at(&path, index + 1), line.trim()));
            }
        }
    }
    found
}

/// A place in a file, as an editor understands it.
fn at(path: &Path, line: usize) -> String {
    format!("{}:{line}", short(path).display())
}

/// A path as seen from the workspace.
fn short(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).to_owned()
}
