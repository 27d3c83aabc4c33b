//! The book hangs together: every page is in its table of contents, and every link leads somewhere.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{assert_none, entries, read, root};

/// Every page of the book, and what else of ours is written for readers.
fn pages() -> Vec<PathBuf> {
    let docs = root().join("docs");
    let places = [root(), docs.clone(), docs.join("decisions"), root().join("deploy")];
    let files = places.iter().flat_map(|place| entries(place));
    files.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

/// The targets of `[text](target)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut inside = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        inside ^= is_fence;
        !inside && !is_fence
    });
    let prose: String = prose.flat_map(|line| [line, "\n"]).collect();
    // What stands between backticks is no link.
    let prose: String = prose.split('`').step_by(2).collect();
    let after = prose.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned()).collect()
}

/// How a heading is linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
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
            let leads = target.exists()
                && (anchor.is_empty() || (target.is_file() && anchors(&read(&target)).contains(anchor)));
            if !leads {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert_none(broken);
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let docs = root().join("docs");
    let contents: BTreeSet<PathBuf> =
        links(&read(&docs.join("SUMMARY.md"))).iter().map(|link| docs.join(link)).collect();
    let book = pages().into_iter().filter(|page| page.starts_with(&docs) && !page.ends_with("SUMMARY.md"));
    assert_none(book.filter(|page| !contents.contains(page)).map(|page| page.display().to_string()));
}

#[test]
fn links_in_code_are_none() {
    assert_eq!(links("a [b](c.md) and `[d](e)`\n```\n[f](g)\n```\n[h](i#j)"), ["c.md", "i#j"]);
    assert!(anchors("# A b\n## What to expect").contains("what-to-expect"));
}
