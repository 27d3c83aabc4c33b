//! What a declaration refers to outside itself: files, and variables of the worker's environment.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Where the files and variables of declarations are read.
#[derive(Clone, Copy)]
pub struct DeclarationSource<'a> {
    /// Reads the text of a file.
    pub read: &'a dyn Fn(&Path) -> io::Result<String>,
    /// The value of a variable in the environment of the worker.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
}

impl fmt::Debug for DeclarationSource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeclarationSource").finish_non_exhaustive()
    }
}

/// The path `path` of a declaration whose relative paths are relative to `directory`.
pub(crate) fn path_in(directory: &Path, path: &Path) -> PathBuf {
    // An empty path, which is the working directory, is none that can be made absolute.
    let directory = directory.join(".");
    std::path::absolute(&directory).unwrap_or(directory).join(path)
}
