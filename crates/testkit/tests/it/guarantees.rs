//! Every guarantee in `docs/guarantees.md` names tests, and every test that it names exists.

use std::collections::HashSet;

use crate::kit::workspace_files::{assert_none, crates, files_below, read, root};

/// Renaming a test must not leave a guarantee without a test.
#[test]
fn every_guarantee_names_tests_that_exist() {
    let code = crates().into_iter().flat_map(|path| files_below(&path, "rs")).map(|path| read(&path));
    let tests: HashSet<String> = code.flat_map(|code| function_names(&code)).collect();
    let document = read(&root().join("docs/guarantees.md"));
    let guarantees = document.lines().filter(|line| line.starts_with("| G"));
    let mut missing = Vec::new();
    for guarantee in guarantees {
        let (_, shown_by) = guarantee
            .trim_end_matches(" |")
            .rsplit_once(" | ")
            .expect("the table of guarantees has three columns");
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "this guarantee names no test: {guarantee}");
        missing.extend(named.into_iter().filter(|name| !tests.contains(*name)).map(str::to_owned));
    }
    assert_none(missing);
}

fn function_names(code: &str) -> Vec<String> {
    let after_fn =
        code.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
    after_fn.filter_map(|rest| rest.split_once('(')).map(|(name, _)| name.to_owned()).collect()
}
