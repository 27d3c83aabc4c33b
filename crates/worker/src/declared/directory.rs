//! Declarations in files: one in each, with its keys at the top level.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::declared::declaration::OperationDeclaration;
use crate::declared::declaration_source::DeclarationSource;

/// The end of the name of a file that holds a declaration.
const EXTENSION: &str = "toml";

/// A declaration, and where it is written.
#[derive(Debug, Clone)]
pub struct PlacedDeclaration {
    /// Where it is written.
    pub place: DeclarationPlace,
    /// The directory to which its relative paths are relative.
    pub directory: PathBuf,
    /// The declaration.
    pub declaration: OperationDeclaration,
}

/// Where a declaration is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeclarationPlace {
    /// In the settings: the entry of `worker.operations` with this number, counted from 1.
    Settings(usize),
    /// In this file.
    File(PathBuf),
}

/// Why there are no declarations in a file or a directory.
#[derive(Debug, thiserror::Error)]
pub enum DeclarationFileError {
    /// It cannot be read.
    #[error("{path} cannot be read", path = path.display())]
    Unreadable {
        /// The file or the directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not the TOML of a declaration.
    #[error("{path}, line {line}, column {column}: {message}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
}

impl PlacedDeclaration {
    /// The declarations in the files of `directory` whose names end in `.toml`, sorted by name.
    ///
    /// # Errors
    ///
    /// If the directory or one of the files cannot be read.
    pub fn read_directory(
        directory: &Path,
        source: &DeclarationSource<'_>,
    ) -> Result<Vec<Self>, DeclarationFileError> {
        let unreadable = |source| DeclarationFileError::Unreadable { path: directory.to_owned(), source };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(unreadable)? {
            files.push(entry.map_err(unreadable)?.path());
        }
        files.retain(|path| path.extension() == Some(OsStr::new(EXTENSION)));
        files.sort();
        files.iter().map(|path| Self::read_file(path, source)).collect()
    }

    /// The declaration in the file at `path`.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is no declaration.
    pub fn read_file(path: &Path, source: &DeclarationSource<'_>) -> Result<Self, DeclarationFileError> {
        let text = (source.read)(path)
            .map_err(|source| DeclarationFileError::Unreadable { path: path.to_owned(), source })?;
        let declaration = toml::from_str(&text).map_err(|error| {
            let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
            let message = error.message().to_owned();
            DeclarationFileError::Malformed { path: path.to_owned(), line, column, message }
        })?;
        let directory = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self { place: DeclarationPlace::File(path.to_owned()), directory, declaration })
    }
}

/// The line and the column of a byte of `text`.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (before.matches('\n').count() + 1, column)
}

impl fmt::Display for DeclarationPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(number) => write!(f, "worker.operations, entry {number}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declared::declaration_list::CheckedDeclaration;

    fn with_source<T>(read: impl FnOnce(&DeclarationSource<'_>) -> T) -> T {
        let read_file = |path: &Path| std::fs::read_to_string(path);
        read(&DeclarationSource { read: &read_file, variable: &|_| None })
    }

    #[test]
    fn each_toml_file_is_a_declaration_in_the_order_of_the_names() {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.toml", "type = \"B\"\nrun = [\"b\"]"),
            ("a.toml", "type = \"A\"\nrun = [\"./a\"]"),
            ("a.json", "{"),
        ] {
            std::fs::write(home.path().join(name), text).unwrap();
        }
        let found = with_source(|source| PlacedDeclaration::read_directory(home.path(), source)).unwrap();
        let names: Vec<&str> = found.iter().map(|placed| placed.declaration.name.as_str()).collect();
        assert_eq!(names, ["A", "B"]);
        assert_eq!(found[0].directory, home.path());
    }

    #[test]
    fn a_file_that_is_no_declaration_is_named_with_its_line() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.toml");
        std::fs::write(&path, "type = \"A\"\nrum = [\"a\"]\n").unwrap();
        let error = with_source(|source| PlacedDeclaration::read_directory(home.path(), source)).unwrap_err();
        let place = format!("{}, line 2, column 1: unknown field `rum`", path.display());
        assert!(error.to_string().starts_with(&place), "{error}");
        std::fs::remove_dir_all(home.path()).unwrap();
        let error = with_source(|source| PlacedDeclaration::read_directory(home.path(), source)).unwrap_err();
        assert_eq!(error.to_string(), format!("{} cannot be read", home.path().display()));
    }

    #[test]
    fn a_type_is_declared_once_and_is_no_built_in_one() {
        let declaration = |name: &str| toml::from_str(&format!("type = \"{name}\"\nrun = [\"a\"]")).unwrap();
        let place = |name, place| PlacedDeclaration {
            place,
            directory: PathBuf::from("/etc/ops"),
            declaration: declaration(name),
        };
        let file = |name: &str| DeclarationPlace::File(PathBuf::from(name));
        let placed = vec![
            place("A", DeclarationPlace::Settings(1)),
            place("A", file("a.toml")),
            place("ECHO", file("e.toml")),
        ];
        let builtin = ["ECHO".parse().unwrap()];
        let checked = with_source(|source| CheckedDeclaration::check_all(placed, &builtin, source));
        assert!(checked[0].checked.is_ok());
        let sentence = |index: usize| checked[index].checked.as_ref().unwrap_err().to_string();
        assert_eq!(
            sentence(1),
            "operation A: `type` must be declared once, and is declared in worker.operations, entry 1 and in a.toml"
        );
        assert_eq!(sentence(2), "operation ECHO: `type` must not be that of a built-in operation");
    }
}
