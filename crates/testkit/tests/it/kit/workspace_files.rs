//! The files of the workspace, as the tests read them.

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's directory.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace's directory exists")
}

/// The directories of all crates of the workspace.
pub(crate) fn crates() -> Vec<PathBuf> {
    entries(&root().join("crates")).into_iter().filter(|path| path.join("Cargo.toml").exists()).collect()
}

/// Every file below a directory whose name ends in this extension. The directory need not exist.
pub(crate) fn files_below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let (directories, files): (Vec<_>, Vec<_>) =
        entries(directory).into_iter().partition(|path| path.is_dir());
    let wanted = files.into_iter().filter(|path| path.extension().is_some_and(|own| own == extension));
    wanted.chain(directories.iter().flat_map(|directory| files_below(directory, extension))).collect()
}

/// The paths in a directory, sorted by name; none if there is no such directory.
pub(crate) fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = listing.map(|entry| entry.expect("a directory can be listed").path()).collect();
    paths.sort();
    paths
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A path relative to the workspace's directory.
pub(crate) fn shortened(path: &Path) -> PathBuf {
    path.strip_prefix(root()).unwrap_or(path).to_owned()
}

/// Fails with all offences, each on a line of its own.
pub(crate) fn assert_none(offences: impl IntoIterator<Item = String>) {
    let offences: Vec<_> = offences.into_iter().collect();
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}
