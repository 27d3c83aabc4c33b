//! What is promised is tested: every test that `docs/guarantees.md` names is there.

use std::collections::HashSet;

use crate::{assert_none, crates, read, root, sources};

#[test]
fn every_promise_names_tests_that_exist() {
    let code = crates().into_iter().flat_map(|path| sources(&path)).map(|path| read(&path));
    let tests: HashSet<String> = code.flat_map(|code| names_of_functions(&code)).collect();
    let guarantees = read(&root().join("docs/guarantees.md"));
    let promises = guarantees.lines().filter(|line| line.starts_with("| G"));
    let mut missing = Vec::new();
    for promise in promises {
        let (_, shown_by) = promise.trim_end_matches(" |").rsplit_once(" | ").expect("three columns");
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test shows {promise}");
        missing.extend(named.into_iter().filter(|name| !tests.contains(*name)).map(str::to_owned));
    }
    assert_none(missing);
}

fn names_of_functions(code: &str) -> Vec<String> {
    let after_fn =
        code.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
    after_fn.filter_map(|rest| rest.split_once('(')).map(|(name, _)| name.to_owned()).collect()
}
