//! No private language: a name says what a thing is in the term that the field uses, and no banned word stands in its place.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};
use toml::Table;

use crate::kit::workspace_files::{assert_none, crates, files_below, read, shortened};

/// A metaphor in a name must be translated by every reader, each time. The field's term can be looked up.
#[test]
fn names_hold_no_banned_words() {
    let banned = BannedWords::ours();
    let files =
        files("rs").into_iter().flat_map(|path| offences_in_rust(&banned, &shortened(&path), &read(&path)));
    assert_none(
        files.chain(sql().into_iter().flat_map(|(path, code)| offences_in_sql(&banned, &path, &code))),
    );
}

/// A comment, log line or error text that speaks the private language explains one riddle by another.
#[test]
fn texts_hold_no_banned_words() {
    let banned = BannedWords::ours();
    let rust = files("rs").into_iter().map(|path| (shortened(&path), read(&path)));
    assert_none(rust.chain(sql()).flat_map(|(path, text)| offences_in_text(&banned, &path, &text)));
}

#[test]
fn a_name_is_split_into_its_words() {
    let words = |name| words(name).join(" ");
    assert_eq!(words("HTTPServer_keyRing2"), "http server key ring2");
    assert_eq!(words("IS_AN_EAR"), "is an ear");
    assert_eq!(words("r#type: Option<PgPool>"), "r type option pg pool");
}

#[test]
fn a_banned_word_is_found_as_a_whole_word_only() {
    let banned = BannedWords::parse(
        "[names]\near = 'listener'\nring = 'notify'\n[types]\nkeep = 'store'\n[everywhere]\nzork = 'a'\n\
        [allowed]\n'key ring' = 'the term'",
    );
    let path = Path::new("src/clear.rs");
    let code =
        "//! An ear.\nfn year_of_search() -> KeyRing { clear.keep(\"ear\") }\nstruct Clear { key_rings: u8 }";
    assert_eq!(offences_in_rust(&banned, path, code), Vec::<String>::new());
    let code = "fn open(\n    AnEar: KEEP,\n) { rings!(); Keep }";
    let found = [
        "src/clear.rs:2: AnEar: instead of `ear`, say listener",
        "src/clear.rs:3: rings: instead of `rings`, say notify",
        "src/clear.rs:3: Keep: instead of `keep`, say store",
    ];
    assert_eq!(offences_in_rust(&banned, path, code), found);
    let found = ["src/an_ear/mod.rs: the path: instead of `ear`, say listener"];
    assert_eq!(offences_in_rust(&banned, Path::new("src/an_ear/mod.rs"), ""), found);
    let found = ["a.sql:2: instead of `ear`, say listener"];
    assert_eq!(offences_in_sql(&banned, Path::new("a.sql"), "-- an ear\nselect ear from year"), found);
    let found = ["a.rs:2: instead of `zorks`, say a"];
    assert_eq!(offences_in_text(&banned, Path::new("a.rs"), "an ear\n// the Zorks\nzorkmid"), found);
}

/// The words, each with what to say instead. The file explains its tables.
struct BannedWords(Table);

impl BannedWords {
    fn ours() -> Self {
        Self::parse(include_str!("banned_words.toml"))
    }

    fn parse(text: &str) -> Self {
        Self(text.parse().expect("the banned words are TOML"))
    }

    fn table(&self, name: &str) -> &Table {
        self.0.get(name).and_then(toml::Value::as_table).expect("the banned words have this table")
    }

    /// The words of a name or text that one of these tables bans, as parts of a message.
    fn offences(&self, tables: &[&str], text: &str) -> Vec<String> {
        let words = self.without_allowed(words(text));
        let advice = |word: &String| {
            let entry =
                |table: &&str| self.table(table).get(word).or_else(|| self.table(table).get(singular(word)));
            let advice = tables.iter().find_map(entry)?.as_str()?;
            Some(format!("instead of `{word}`, say {advice}"))
        };
        words.iter().filter_map(advice).collect()
    }

    /// The words that are no part of an allowed name.
    fn without_allowed(&self, mut words: Vec<String>) -> Vec<String> {
        for name in self.table("allowed").keys() {
            let allowed: Vec<_> = name.split(' ').map(singular).collect();
            let matches = |window: &[String]| {
                window.iter().zip(&allowed).all(|(word, allowed)| singular(word) == *allowed)
            };
            while let Some(start) = words.windows(allowed.len()).position(matches) {
                words.drain(start..start + allowed.len());
            }
        }
        words
    }
}

fn singular(word: &str) -> &str {
    word.strip_suffix('s').unwrap_or(word)
}

/// The words of a name or a text in lower case: `Http_keyRing` has the words `http`, `key` and `ring`.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let letters: Vec<char> = text.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|before| letters[before]);
        let after = letters.get(at + 1);
        // A capital begins a word after a small letter, and as the last one of a row: `HTTPServer` is two words.
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if begins || !letter.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

fn offences_in_rust(banned: &BannedWords, path: &Path, code: &str) -> Vec<String> {
    let tokens = TokenStream::from_str(code).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut offences = offences_in_path(banned, path);
    for (name, line) in identifiers(tokens) {
        let is_type = name.starts_with(char::is_uppercase) && name.contains(char::is_lowercase);
        let tables: &[_] = if is_type { &["names", "types"] } else { &["names"] };
        let found = banned.offences(tables, &name);
        offences.extend(found.iter().map(|offence| format!("{}:{line}: {name}: {offence}", path.display())));
    }
    offences
}

/// The identifiers in Rust code, each with its line. Comments and strings have none.
fn identifiers(tokens: TokenStream) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(name) => found.push((name.to_string(), name.span().start().line)),
            TokenTree::Group(group) => found.extend(identifiers(group.stream())),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
    found
}

fn offences_in_path(banned: &BannedWords, path: &Path) -> Vec<String> {
    let found = banned.offences(&["names", "types"], &path.to_string_lossy());
    found.iter().map(|offence| format!("{}: the path: {offence}", path.display())).collect()
}

/// Banned words in SQL outside of its comments.
fn offences_in_sql(banned: &BannedWords, path: &Path, code: &str) -> Vec<String> {
    let lines = code.lines().map(|line| line.split("--").next().unwrap_or_default());
    let in_code = offences_in_lines(banned, "names", path, lines);
    offences_in_path(banned, path).into_iter().chain(in_code).collect()
}

fn offences_in_text(banned: &BannedWords, path: &Path, text: &str) -> Vec<String> {
    offences_in_lines(banned, "everywhere", path, text.lines())
}

fn offences_in_lines<'a>(
    banned: &BannedWords,
    table: &str,
    path: &Path,
    lines: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let of_line = |(index, line)| {
        let place = format!("{}:{}", path.display(), index + 1);
        let found: Vec<String> = banned.offences(&[table], line);
        found.into_iter().map(move |offence| format!("{place}: {offence}"))
    };
    lines.enumerate().flat_map(of_line).collect()
}

/// The SQL of every crate, each file's path with its text.
fn sql() -> Vec<(PathBuf, String)> {
    files("sql").into_iter().map(|path| (shortened(&path), read(&path))).collect()
}

/// The files of every crate with this extension.
fn files(extension: &str) -> Vec<PathBuf> {
    let folders = ["benches", "migrations", "src", "tests"];
    let of_crate = |path: &PathBuf| folders.map(|folder| files_below(&path.join(folder), extension)).concat();
    let files: Vec<_> = crates().iter().flat_map(of_crate).collect();
    assert!(!files.is_empty(), "no crate has a file that ends in {extension}");
    files
}
