//! No dependency cycles among the modules of a crate: each module can be read and changed after those that it uses.

mod graph;
mod modules;
mod tokens;

use std::path::{Path, PathBuf};

use crate::kit::workspace_files::{assert_none, crates, entries, read, shortened};

use self::graph::{Evidence, cycles, edges, sibling_edges};
use self::modules::{Modules, ReadFile};

/// Whoever reads a module on a cycle must read all others on it first, and so must whoever changes or moves one.
#[test]
fn no_modules_need_each_other_in_a_cycle() {
    assert_none(roots().iter().flat_map(|root| described_cycles(root, &read_file, Granularity::Files)));
}

/// Two folders that need each other are one subject in two places, even where no file is on a cycle.
#[test]
fn no_folders_need_each_other_in_a_cycle() {
    assert_none(roots().iter().flat_map(|root| described_cycles(root, &read_file, Granularity::Folders)));
}

/// What counts as a module on a cycle.
#[derive(Clone, Copy)]
enum Granularity {
    /// Each file by itself.
    Files,
    /// A folder with all files in it, beside the folders and files with the same parent. Cycles of files alone are left out.
    Folders,
}

fn read_file(path: &Path) -> Option<String> {
    path.is_file().then(|| read(path))
}

/// The root file of every library, binary, test and benchmark.
fn roots() -> Vec<PathBuf> {
    let mut roots = Vec::new();
    for directory in crates() {
        roots.extend(["src/lib.rs", "src/main.rs"].map(|root| directory.join(root)));
        let others = ["tests", "benches"].into_iter().flat_map(|folder| entries(&directory.join(folder)));
        // Cargo builds every file there, and the `main.rs` of every directory.
        roots.extend(others.map(|path| if path.is_dir() { path.join("main.rs") } else { path }));
    }
    roots.retain(|root| root.is_file() && root.extension().is_some_and(|extension| extension == "rs"));
    assert!(!roots.is_empty(), "no crate has a root file");
    roots
}

/// The cycles in the crate with this root file, each with the line that makes each edge.
fn described_cycles(root: &Path, read_file: ReadFile<'_>, scale: Granularity) -> Vec<String> {
    let modules = Modules::read(root, read_file);
    let of_files = edges(&modules);
    let (edges, cycles) = match scale {
        Granularity::Files => (of_files.clone(), cycles(&of_files)),
        Granularity::Folders => {
            let of_siblings = sibling_edges(&modules, &of_files);
            let is_of_files =
                |(from, to)| of_files.get(&from).is_some_and(|targets| targets.contains_key(&to));
            let mut cycles = cycles(&of_siblings);
            cycles.retain(|cycle| !pairs(cycle).all(is_of_files));
            (of_siblings, cycles)
        }
    };
    let describe = |cycle: Vec<usize>| {
        let lines = pairs(&cycle).map(|(from, to)| {
            let Evidence { file, line, path } = &edges[&from][&to];
            format!("\n  {}:{line}: {path}", shortened(file).display())
        });
        let names = cycle.iter().chain(cycle.first()).map(|module| &*modules.all[*module].name);
        let lines: String = lines.collect();
        format!("{}: {}{lines}", shortened(root).display(), names.collect::<Vec<_>>().join(" -> "))
    };
    cycles.into_iter().map(describe).collect()
}

/// Each module of a cycle with the next one.
fn pairs(cycle: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    cycle.iter().copied().zip(cycle.iter().copied().cycle().skip(1))
}

/// The cycles in a crate whose files are given as name and code.
fn sample_cycles(files: &[(&str, &str)], scale: Granularity) -> Vec<String> {
    let read_file = |path: &Path| {
        let file = files.iter().find(|(name, _)| Path::new(name) == path);
        file.map(|(_, code)| (*code).to_owned())
    };
    described_cycles(Path::new("lib.rs"), &read_file, scale)
}

/// The cycles of files in such a crate, without the lines that make the edges.
fn sample_cycle_names(files: &[(&str, &str)]) -> Vec<String> {
    let first_line = |cycle: &String| cycle.lines().next().unwrap_or_default().to_owned();
    sample_cycles(files, Granularity::Files)
        .iter()
        .map(first_line)
        .map(|line| line.replace("lib.rs: ", ""))
        .collect()
}

#[test]
fn a_cycle_through_use_is_found_and_its_lines_are_named() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::{self, B as Other};\npub struct A(Other);"),
        ("b.rs", "\nuse super::c;\npub struct B(c::C);"),
        ("c/mod.rs", "mod d; pub(crate) use d::C;"),
        ("c/d.rs", "\n\npub struct C(pub Box<crate::a::A>);"),
    ];
    let expected =
        "lib.rs: a -> b -> c::d -> a\n  a.rs:1: crate::b::B\n  b.rs:3: c::C\n  c/d.rs:3: crate::a::A";
    assert_eq!(sample_cycles(&files, Granularity::Files), [expected]);
}

#[test]
fn a_cycle_through_a_re_export_of_the_root_is_found() {
    let files = [
        ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use crate::b::run;"),
        ("a.rs", "pub struct A; impl A { fn run() { crate::run() } }"),
        ("b.rs", "use crate::A; pub fn run() { A; }"),
    ];
    assert_eq!(sample_cycle_names(&files), ["a -> b -> a"]);
}

#[test]
fn a_cycle_through_a_macro_is_found() {
    let by_path = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "macro_rules! make { () => { $crate::b::B } }\npub(crate) use make;"),
        ("b.rs", "pub struct B; fn new() -> B { crate::a::make!() }"),
    ];
    assert_eq!(sample_cycle_names(&by_path), ["a -> b -> a"]);
    let exported = [
        ("lib.rs", "mod a; mod b; pub use b::B;"),
        ("a.rs", "#[macro_export] macro_rules! make { ($x:ident) => {{ use $crate::{B}; B }} }"),
        ("b.rs", "use crate::make; pub struct B; fn new() -> B { make!(x) }"),
    ];
    assert_eq!(sample_cycle_names(&exported), ["a -> b -> a"]);
    let by_order = [
        ("lib.rs", "#[macro_use] mod a; mod b;"),
        ("a.rs", "macro_rules! make { () => { crate::b::B } }"),
        ("b.rs", "pub struct B; fn new() -> B { make!() }"),
    ];
    assert_eq!(sample_cycle_names(&by_order), ["a -> b -> a"]);
    let in_arguments = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "fn a() -> String { format!(\"{}\", crate::b::b()) }"),
        ("b.rs", "#[serde(default = \"crate::a::a\")] struct B; fn b() {}"),
    ];
    assert_eq!(sample_cycle_names(&in_arguments), ["a -> b -> a"]);
}

#[test]
fn a_cycle_of_a_module_and_its_parent_is_found() {
    let files = [
        ("lib.rs", "mod a;"),
        ("a/mod.rs", "mod b;\nuse b::B;\npub const MOST: usize = 3;\npub struct A(B);"),
        ("a/b.rs", "pub struct B([u8; super::MOST]);"),
    ];
    assert_eq!(sample_cycle_names(&files), ["a -> a::b -> a"]);
    let through_glob = [
        ("lib.rs", "mod a; pub struct Error; fn run() -> a::A { a::A }"),
        ("a.rs", "use super::*; pub struct A; fn run() -> Option<Error> { None }"),
    ];
    assert_eq!(sample_cycle_names(&through_glob), ["crate -> a -> crate"]);
    let through_own_re_export = [
        ("lib.rs", "mod a; pub use a::A; pub struct Error; fn run(a: A) {}"),
        ("a.rs", "pub struct A(crate::Error);"),
    ];
    assert_eq!(sample_cycle_names(&through_own_re_export), ["crate -> a -> crate"]);
}

#[test]
fn a_cycle_of_folders_is_found_where_no_file_is_on_one() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "mod x; mod y;"),
        ("a/x.rs", "use crate::b::B; pub struct X;"),
        ("a/y.rs", "use super::x::X; pub struct Y;"),
        ("b/mod.rs", "mod z; pub struct B;"),
        ("b/z.rs", "use crate::a::y::Y;"),
    ];
    assert_eq!(sample_cycles(&files, Granularity::Files), Vec::<String>::new());
    let expected = "lib.rs: a -> b -> a\n  a/x.rs:1: crate::b::B\n  b/z.rs:1: crate::a::y::Y";
    assert_eq!(sample_cycles(&files, Granularity::Folders), [expected]);
}

#[test]
fn every_edge_on_a_cycle_is_shown() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "pub fn a() { crate::b::b(); crate::c::c() }"),
        ("b.rs", "pub fn b() { crate::c::c() }"),
        ("c.rs", "pub fn c() { crate::a::a() }"),
    ];
    assert_eq!(sample_cycle_names(&files), ["a -> c -> a", "a -> b -> c -> a"]);
}

#[test]
fn declarations_re_exports_tests_and_foreign_names_make_no_cycle() {
    let files = [
        ("lib.rs", "//! `crate::a::A`\nmod a; mod b; mod c; pub use a::A; pub use b::{Made, make};"),
        // A method, a field, a lifetime and a foreign crate that are called like modules and functions here.
        (
            "a.rs",
            "use ::c::Other; use c::c; pub struct A { make: &'static str }\nfn f(a: A) { a.make; a.make(); c() }",
        ),
        (
            "b.rs",
            "id! { Made } pub fn make(a: crate::A) { A { make: \"\" } }\n#[cfg(test)] mod tests { use super::*; }",
        ),
        (
            "c.rs",
            "use crate::Made; mod inner { pub struct C(super::D); } struct D; fn f(x: inner::C) {}\n\
            #[cfg(test)] mod tests { fn f() { crate::b::make() } }",
        ),
    ];
    assert_eq!(sample_cycle_names(&files), Vec::<String>::new());
}
