//! The table of all problem types.

use crate::problem_types::problem_type::{ProblemType, Section};
use crate::problem_types::{accounts, operations, requests, schedules, tasks, workers};

/// Every type, section by section.
pub static SECTIONS: [&Section; 6] = [
    &requests::SECTION,
    &tasks::SECTION,
    &schedules::SECTION,
    &operations::SECTION,
    &workers::SECTION,
    &accounts::SECTION,
];

/// Every type.
pub fn all() -> impl Iterator<Item = &'static ProblemType> {
    SECTIONS.iter().flat_map(|section| section.types.iter().copied())
}

/// The type with this slug.
pub fn find(slug: &str) -> Option<&'static ProblemType> {
    all().find(|of| of.slug == slug)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_type_has_a_slug_of_its_own_that_is_a_part_of_a_path_and_an_error_status() {
        let mut slugs = BTreeSet::new();
        for ProblemType { slug, status, meaning, remedy, .. } in all() {
            assert!(slugs.insert(*slug), "{slug} occurs twice");
            assert!(slug.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{slug}");
            assert!((400..600).contains(status), "{slug}");
            assert!(meaning.ends_with('.') && remedy.ends_with('.'), "{slug}: whole sentences");
        }
        assert!(find("no-such-task").is_some() && find("no-such-slug").is_none());
    }
}
