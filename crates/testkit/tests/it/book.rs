//! The book in `docs`: every page is in its table of contents, and every link leads to a file and a heading that exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::kit::workspace_files::{assert_none, entries, read, root};

/// Readers meet a broken link long before its author does.
#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap_or(Path::new("")).join(path)
            };
            let exists = target.exists()
                && (anchor.is_empty() || (target.is_file() && anchors(&read(&target)).contains(anchor)));
            if !exists {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_none(broken);
}

/// mdBook renders only the pages in `SUMMARY.md`; any other page is lost to readers.
#[test]
fn every_page_is_in_the_table_of_contents() {
    let docs = root().join("docs");
    let contents: BTreeSet<PathBuf> =
        links(&read(&docs.join("SUMMARY.md"))).iter().map(|link| docs.join(link)).collect();
    let book = pages().into_iter().filter(|page| page.starts_with(&docs) && !page.ends_with("SUMMARY.md"));
    assert_none(book.filter(|page| !contents.contains(page)).map(|page| page.display().to_string()));
}

#[test]
fn links_in_code_are_ignored_and_headings_become_anchors() {
    assert_eq!(links("a [b](c.md) and `[d](e)`\n```\n[f](g)\n```\n[h](i#j)"), ["c.md", "i#j"]);
    assert!(anchors("# A b\n## What to expect").contains("what-to-expect"));
}

/// Every page of the book, and the other Markdown files that are written for readers.
fn pages() -> Vec<PathBuf> {
    let docs = root().join("docs");
    let places = [root(), docs.clone(), docs.join("decisions"), root().join("deploy")];
    let files = places.iter().flat_map(|place| entries(place));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The targets of `[text](target)` outside of code.
fn links(text: &str) -> Vec<String> {
    let mut in_code_block = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code_block ^= is_fence;
        !in_code_block && !is_fence
    });
    let prose: String = prose.flat_map(|line| [line, "\n"]).collect();
    // Every second part stands between backticks, where nothing is a link.
    let prose: String = prose.split('`').step_by(2).collect();
    let after = prose.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// The anchors by which links reach the headings of a page.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let in_anchor = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            in_anchor.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}
