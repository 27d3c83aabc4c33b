//! What each crate may depend on: a crate is a list of things that its code cannot name.

use std::path::Path;

use toml::{Table, Value};

use crate::kit::workspace_files::{assert_none, crates, read, root};

/// The dependencies of one crate that are allowed, apart from those for its tests.
struct Boundary {
    name: &'static str,
    /// The crates of this workspace that it may depend on.
    may: &'static [&'static str],
    /// The foreign crates that it must not depend on. Any other is allowed.
    never: &'static [&'static str],
}

/// The boundaries of all crates. One may stand here before its crate exists.
const BOUNDARIES: &[Boundary] = &[
    Boundary {
        name: "domain",
        may: &[],
        never: &["axum", "opentelemetry", "rdkafka", "reqwest", "sqlx", "tokio"],
    },
    Boundary {
        name: "json_schema",
        may: &[],
        never: &["axum", "opentelemetry", "rdkafka", "reqwest", "sqlx", "tokio"],
    },
    Boundary { name: "telemetry", may: &["domain"], never: &["axum", "rdkafka", "reqwest", "sqlx", "tokio"] },
    Boundary {
        name: "database",
        may: &["telemetry"],
        never: &["axum", "opentelemetry", "rdkafka", "reqwest"],
    },
    Boundary {
        name: "store",
        may: &["database", "domain", "telemetry"],
        never: &["axum", "opentelemetry", "rdkafka", "reqwest"],
    },
    Boundary {
        name: "broker",
        may: &["domain", "telemetry"],
        never: &["axum", "opentelemetry", "reqwest", "sqlx"],
    },
    Boundary {
        name: "web",
        may: &["domain", "telemetry"],
        never: &["opentelemetry", "rdkafka", "reqwest", "sqlx"],
    },
    Boundary {
        name: "identity",
        may: &["database", "domain", "telemetry", "web"],
        never: &["opentelemetry", "rdkafka"],
    },
    Boundary {
        name: "backend",
        may: &["broker", "database", "domain", "json_schema", "store", "telemetry", "web"],
        never: &["opentelemetry", "rdkafka"],
    },
    Boundary { name: "client", may: &["domain"], never: &["axum", "opentelemetry", "sqlx"] },
    Boundary {
        name: "supervisor",
        may: &[],
        never: &["axum", "opentelemetry", "rdkafka", "reqwest", "sqlx"],
    },
    Boundary {
        name: "worker",
        may: &["broker", "client", "domain", "json_schema", "supervisor", "telemetry"],
        never: &["axum", "opentelemetry", "rdkafka", "sqlx"],
    },
    Boundary {
        name: "tasker",
        may: &[
            "backend",
            "broker",
            "client",
            "database",
            "domain",
            "identity",
            "store",
            "telemetry",
            "web",
            "worker",
        ],
        never: &["rdkafka"],
    },
    Boundary { name: "testkit", may: &["database", "store"], never: &[] },
];

/// The tables of a manifest with the dependencies that end up in the binary.
const SHIPPED: &[&str] = &["dependencies", "build-dependencies"];

/// Those, and the dependencies of tests.
const ALL: &[&str] = &["dependencies", "build-dependencies", "dev-dependencies"];

/// A crate that can name SQL or HTTP will hold some in the end. Tests may use more than what they test.
#[test]
fn every_crate_depends_only_on_what_its_boundary_allows() {
    let ours: Vec<_> = manifests().into_iter().map(|(name, _)| name).collect();
    let offences = dependencies(SHIPPED).into_iter().filter_map(|Dependency { from, to, .. }| {
        let Some(boundary) = BOUNDARIES.iter().find(|boundary| boundary.name == from) else {
            return Some(format!("{from} has no boundary in this test"));
        };
        let is_ours = ours.contains(&to);
        let allowed = if is_ours { boundary.may.contains(&&*to) } else { !boundary.never.contains(&&*to) };
        (!allowed).then(|| format!("{from} must not depend on {to}"))
    });
    assert_none(offences);
}

/// The binary only wires other crates together; what others need of it belongs into one of those.
#[test]
fn no_crate_depends_on_the_binary() {
    let offences = dependencies(ALL).into_iter().filter(|dependency| dependency.to == "tasker");
    assert_none(offences.map(|dependency| format!("{} must not depend on tasker", dependency.from)));
}

/// Two crates with two versions of one dependency would compile it twice and exchange none of its types.
#[test]
fn every_version_stands_in_the_workspace_manifest() {
    let offences = dependencies(ALL).into_iter().filter(|dependency| !from_workspace(&dependency.entry));
    assert_none(
        offences.map(|Dependency { from, to, .. }| format!("{from} does not take {to} from the workspace")),
    );
}

/// A lint that one crate lacks is found there by the next reader instead of by the compiler.
#[test]
fn every_crate_inherits_the_lints_of_the_workspace() {
    let offences =
        manifests().into_iter().filter(|(_, manifest)| !manifest.get("lints").is_some_and(from_workspace));
    assert_none(offences.map(|(name, _)| format!("{name} does not inherit the lints of the workspace")));
}

/// Each foreign crate costs build time and trust; its reason lets a reader judge whether it is still needed.
#[test]
fn every_foreign_dependency_has_a_comment_with_its_reason() {
    let manifest = read(&root().join("Cargo.toml"));
    let lines: Vec<_> = manifest.lines().skip_while(|line| *line != "[workspace.dependencies]").collect();
    let table = lines.windows(2).take_while(|pair| !pair[1].starts_with('['));
    let foreign = table.filter(|pair| pair[1].contains(" = ") && !pair[1].contains("path = "));
    let offences = foreign.filter(|pair| !pair[1].starts_with('#') && !pair[0].starts_with('#'));
    assert_none(offences.map(|pair| format!("Cargo.toml does not give the reason for this: {}", pair[1])));
}

/// An entry of a manifest: one crate depends on another.
struct Dependency {
    from: String,
    to: String,
    entry: Value,
}

/// The dependencies of our crates, on any system, in the tables of these names.
fn dependencies(tables: &[&str]) -> Vec<Dependency> {
    let mut dependencies = Vec::new();
    for (from, manifest) in manifests() {
        let systems = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        for scope in systems.filter_map(Value::as_table).chain([&manifest]) {
            let entries = tables.iter().filter_map(|table| scope.get(*table)?.as_table()).flatten();
            dependencies.extend(entries.map(|(to, entry)| Dependency {
                from: from.clone(),
                to: to.clone(),
                entry: entry.clone(),
            }));
        }
    }
    dependencies
}

/// Our crates' manifests, each with the crate's name, which is that of its directory.
fn manifests() -> Vec<(String, Table)> {
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let manifest = |path: &Path| read(&path.join("Cargo.toml")).parse().expect("a manifest is TOML");
    crates().iter().filter_map(|path| Some((name(path)?, manifest(path)))).collect()
}

fn from_workspace(value: &Value) -> bool {
    value.get("workspace") == Some(&Value::Boolean(true))
}
