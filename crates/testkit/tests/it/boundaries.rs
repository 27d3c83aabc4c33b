//! A crate is a list of things its code may not know.

use toml::{Table, Value};

use crate::{assert_none, crates, read, root};

/// A crate, those of ours that it may lean on, and the foreign ones that it must never know.
const BOUNDARIES: [(&str, &[&str], &[&str]); 10] = [
    ("domain", &[], &["axum", "opentelemetry", "rdkafka", "reqwest", "sqlx", "tokio"]),
    ("spans", &["domain"], &["axum", "rdkafka", "reqwest", "sqlx", "tokio"]),
    ("store", &["domain"], &["axum", "opentelemetry", "rdkafka", "reqwest"]),
    ("broker", &["domain", "spans"], &["axum", "opentelemetry", "reqwest", "sqlx"]),
    ("identity", &["store"], &["opentelemetry", "rdkafka"]),
    ("backend", &["broker", "domain", "spans", "store"], &["opentelemetry", "rdkafka"]),
    ("client", &["domain"], &["axum", "opentelemetry", "sqlx"]),
    ("worker", &["broker", "client", "domain", "spans"], &["axum", "opentelemetry", "rdkafka", "sqlx"]),
    ("tasker", &["backend", "broker", "client", "domain", "identity", "store", "worker"], &["rdkafka"]),
    ("testkit", &["store"], &[]),
];

/// Where a manifest names what ends up in the binary; tests may lean on more.
const SHIPPED: &[&str] = &["dependencies", "build-dependencies"];
const ALL: &[&str] = &["dependencies", "build-dependencies", "dev-dependencies"];

#[test]
fn every_crate_knows_only_what_it_is_granted() {
    let ours: Vec<_> = manifests().into_iter().map(|(name, _)| name).collect();
    let granted = |arrow: &Arrow| {
        let Some((_, may, never)) = BOUNDARIES.iter().find(|(name, ..)| *name == arrow.from) else {
            return false;
        };
        if ours.contains(&arrow.to) { may.contains(&&*arrow.to) } else { !never.contains(&&*arrow.to) }
    };
    let offences = arrows(SHIPPED).into_iter().filter(|arrow| !granted(arrow));
    assert_none(offences.map(|arrow| format!("{} must not know {}", arrow.from, arrow.to)));
}

#[test]
fn nothing_leans_on_the_binary() {
    let offences = arrows(ALL).into_iter().filter(|arrow| arrow.to == "tasker");
    assert_none(offences.map(|arrow| format!("{} must not know {}", arrow.from, arrow.to)));
}

#[test]
fn every_version_stands_in_one_table() {
    let offences = arrows(ALL).into_iter().filter(|arrow| !from_workspace(&arrow.line));
    assert_none(offences.map(|arrow| format!("{} takes {} from elsewhere", arrow.from, arrow.to)));
}

#[test]
fn every_crate_keeps_the_lints() {
    let offences =
        manifests().into_iter().filter(|(_, manifest)| !manifest.get("lints").is_some_and(from_workspace));
    assert_none(offences.map(|(name, _)| format!("{name} has lints of its own, or none")));
}

#[test]
fn every_dependency_has_its_sentence() {
    let manifest = read(&root().join("Cargo.toml"));
    let lines: Vec<_> = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").collect();
    let table = lines.windows(2).take_while(|pair| !pair[1].starts_with('['));
    let foreign = table.filter(|pair| pair[1].contains(" = ") && !pair[1].contains("path = "));
    let offences = foreign.filter(|pair| !pair[1].starts_with('#') && !pair[0].starts_with('#'));
    assert_none(offences.map(|pair| format!("Cargo.toml does not say what this is for: {}", pair[1])));
}

/// A line of a manifest: one crate leans on another.
struct Arrow {
    from: String,
    to: String,
    line: Value,
}

/// What our crates lean on, on any system, as the tables of these names say.
fn arrows(kinds: &[&str]) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    for (from, manifest) in manifests() {
        let systems = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        for table in systems.filter_map(Value::as_table).chain([&manifest]) {
            let lines = kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()).flatten();
            arrows.extend(lines.map(|(to, line)| Arrow {
                from: from.clone(),
                to: to.clone(),
                line: line.clone(),
            }));
        }
    }
    arrows
}

/// Our crates by name, which is their directory's.
fn manifests() -> Vec<(String, Table)> {
    let name = |path: &std::path::Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let manifest =
        |path: &std::path::Path| read(&path.join("Cargo.toml")).parse().expect("a manifest is TOML");
    crates().iter().filter_map(|path| Some((name(path)?, manifest(path)))).collect()
}

fn from_workspace(value: &Value) -> bool {
    value.get("workspace") == Some(&Value::Boolean(true))
}
