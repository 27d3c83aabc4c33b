//! The table of problem types and the code that answers with them.

use crate::kit::workspace_files::{assert_none, crates, files_below, read, root};

/// That no error lacks a row the compiler sees: errors are made of rows. A row without an error would explain what never happens.
#[test]
fn every_type_of_problems_is_one_that_some_code_answers_with() {
    let table = root().join("crates/domain/src/problem_types");
    let sources = crates().into_iter().flat_map(|directory| files_below(&directory.join("src"), "rs"));
    let code: String = sources.filter(|file| !file.starts_with(&table)).map(|file| read(&file)).collect();
    let words: Vec<&str> = code.split(|c: char| !c.is_ascii_uppercase() && c != '_').collect();
    let rows = files_below(&table, "rs").into_iter().flat_map(|file| {
        let text = read(&file);
        let names = text.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(" = "));
        let is_row = |name: &str| name.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_');
        names.filter(|(name, _)| is_row(name)).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
    });
    let rows: Vec<String> = rows.collect();
    assert!(rows.len() > 60, "{rows:?}");
    assert_none(
        rows.into_iter().filter(|row| !words.contains(&row.as_str())).map(|row| format!("no error is {row}")),
    );
}
