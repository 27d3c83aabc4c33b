//! Which module needs which other one, and the cycles among them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::PathBuf;

use super::modules::Modules;

/// The modules that each module needs, with the place that shows it. Modules are numbered as in `Modules::all`.
pub(crate) type Edges = BTreeMap<usize, BTreeMap<usize, Evidence>>;

/// The first place in a module that names an item of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Evidence {
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    /// The path as it stands in the code.
    pub(crate) path: String,
}

/// An edge leads from each file to the files whose items it names. The declaration of a child makes none, nor does the
/// re-export of an item of a child.
pub(crate) fn edges(modules: &Modules) -> Edges {
    let mut edges = Edges::new();
    for (from, module) in modules.all.iter().enumerate() {
        let mut add = |definers: Option<BTreeSet<usize>>, line: usize, path: &[String], is_facade: bool| {
            for definer in definers.unwrap_or_default() {
                let (source, target) = (module.of_file, modules.all[definer].of_file);
                if source == target || (is_facade && modules.is_below(definer, from)) {
                    continue;
                }
                let evidence = Evidence { file: module.file.clone(), line, path: path.join("::") };
                add_edge(&mut edges, source, target, evidence);
            }
        };
        for import in &module.scope.imports {
            let is_facade = import.reexported;
            add(modules.definers(from, &import.path), import.line, &import.path, is_facade);
        }
        for reference in &module.scope.references {
            add(modules.definers_of_reference(from, reference), reference.line, &reference.path, false);
        }
    }
    edges
}

/// The edges between modules with the same parent, where a folder stands for all files in it.
pub(crate) fn sibling_edges(modules: &Modules, edges: &Edges) -> Edges {
    let mut lifted = Edges::new();
    for (from, targets) in edges {
        for (to, evidence) in targets {
            if let Some((from, to)) = modules.siblings(*from, *to) {
                add_edge(&mut lifted, from, to, evidence.clone());
            }
        }
    }
    lifted
}

/// Adds an edge, or keeps the first of two places that show the same one.
fn add_edge(edges: &mut Edges, from: usize, to: usize, evidence: Evidence) {
    let first = edges.entry(from).or_default().entry(to).or_insert_with(|| evidence.clone());
    if evidence < *first {
        *first = evidence;
    }
}

/// Cycles that together contain every edge which lies on one: for each such edge a shortest cycle through it, the short
/// ones first. A cycle is written as its modules in order, beginning with the one of the lowest number.
pub(crate) fn cycles(edges: &Edges) -> Vec<Vec<usize>> {
    let mut cycles: BTreeSet<(usize, Vec<usize>)> = BTreeSet::new();
    for (from, targets) in edges {
        for to in targets.keys() {
            if let Some(mut cycle) = shortest_path(edges, *to, *from) {
                let lowest = (0..cycle.len()).min_by_key(|at| cycle[*at]).unwrap_or_default();
                cycle.rotate_left(lowest);
                cycles.insert((cycle.len(), cycle));
            }
        }
    }
    cycles.into_iter().map(|(_, cycle)| cycle).collect()
}

/// The modules on a shortest path along the edges, both ends included.
fn shortest_path(edges: &Edges, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut reached_from = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut path = vec![to];
            while path.last() != Some(&from) {
                path.extend(path.last().and_then(|last| reached_from.get(last)).copied());
            }
            path.reverse();
            return Some(path);
        }
        for next in edges.get(&at).into_iter().flat_map(BTreeMap::keys) {
            if !reached_from.contains_key(next) {
                reached_from.insert(*next, at);
                queue.push_back(*next);
            }
        }
    }
    None
}
