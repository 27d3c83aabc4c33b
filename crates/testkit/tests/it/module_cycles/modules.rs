//! The modules of one crate, and which module defines what a path names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::tokens::{Child, Reference, Scope, read};

/// The modules of one crate. The first is the root; every other comes after its parent.
pub(crate) struct Modules {
    pub(crate) all: Vec<Module>,
}

/// One module of a crate.
pub(crate) struct Module {
    /// The module's path below the crate's root, as in `config::tls`; `crate` for the root itself.
    pub(crate) name: String,
    /// The file that holds the module.
    pub(crate) file: PathBuf,
    /// The module of which the file consists: the module itself, or the one around a `mod name { … }`.
    pub(crate) of_file: usize,
    pub(crate) scope: Scope,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// Whether the module's macros are known to its parent, too.
    macro_use: bool,
}

/// The code of a file, or none where there is no such file.
pub(crate) type ReadFile<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// The imports that are being resolved (module and index), so that none is entered twice.
type Active = Vec<(usize, usize)>;

impl Modules {
    /// Reads the crate with this root file, such as `src/lib.rs`.
    pub(crate) fn read(root: &Path, read_file: ReadFile<'_>) -> Self {
        let mut modules = Self { all: Vec::new() };
        modules.add_file(None, "crate", root, true, read_file);
        modules
    }

    fn add_file(
        &mut self,
        parent: Option<usize>,
        name: &str,
        file: &Path,
        is_folder: bool,
        read_file: ReadFile<'_>,
    ) -> usize {
        let code = read_file(file).unwrap_or_else(|| panic!("{} cannot be read", file.display()));
        let scope = read(&code).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let directory = file.parent().unwrap_or(Path::new(""));
        let below = if is_folder { directory.to_owned() } else { file.with_extension("") };
        let of_file = self.all.len();
        self.add(parent, name, file, of_file, scope);
        self.add_children(of_file, &below, directory, read_file);
        of_file
    }

    fn add(&mut self, parent: Option<usize>, name: &str, file: &Path, of_file: usize, scope: Scope) {
        self.all.push(Module {
            name: name.to_owned(),
            file: file.to_owned(),
            of_file,
            scope,
            parent,
            children: BTreeMap::new(),
            macro_use: false,
        });
    }

    /// Adds the modules that a module declares. Their files are in the directory `below`, or are named relative to
    /// `beside`.
    fn add_children(&mut self, parent: usize, below: &Path, beside: &Path, read_file: ReadFile<'_>) {
        let prefix = if parent == 0 { String::new() } else { format!("{}::", self.all[parent].name) };
        for Child { name, inline, file, macro_use } in std::mem::take(&mut self.all[parent].scope.children) {
            let full_name = format!("{prefix}{name}");
            let child = self.all.len();
            if let Some(scope) = inline {
                let (outer, of_file) = (self.all[parent].file.clone(), self.all[parent].of_file);
                self.add(Some(parent), &full_name, &outer, of_file, scope);
                // `#[path]` on such a module names the folder of its children.
                let folder = file.map_or_else(|| below.join(&name), |folder| beside.join(folder));
                self.add_children(child, &folder, &folder, read_file);
            } else if let Some(file) = file {
                self.add_file(Some(parent), &full_name, &beside.join(file), true, read_file);
            } else {
                let (flat, folder) = (below.join(format!("{name}.rs")), below.join(&name).join("mod.rs"));
                let is_folder = read_file(&flat).is_none();
                let file = if is_folder { folder } else { flat };
                self.add_file(Some(parent), &full_name, &file, is_folder, read_file);
            }
            self.all[child].macro_use = macro_use;
            self.all[parent].children.insert(name, child);
        }
    }

    /// The modules that define what this path means in a module: none for a foreign path, an empty set for a module
    /// itself, and several where one name stands for a type and a function.
    pub(crate) fn definers(&self, module: usize, path: &[String]) -> Option<BTreeSet<usize>> {
        self.resolve(module, path, true, &mut Vec::new())
    }

    /// Like `definers`, for a path in the code. It may name a macro that is in scope because its definition comes first.
    pub(crate) fn definers_of_reference(
        &self,
        module: usize,
        reference: &Reference,
    ) -> Option<BTreeSet<usize>> {
        let found = self.definers(module, &reference.path);
        match &reference.path[..] {
            [name] if reference.invoked && found.is_none() => {
                let ancestors = std::iter::successors(Some(module), |at| self.all[*at].parent);
                let definer =
                    ancestors.into_iter().find_map(|ancestor| self.textual_macro(ancestor, name))?;
                Some(BTreeSet::from([definer]))
            }
            _ => found,
        }
    }

    /// Whether one module is inside of another.
    pub(crate) fn is_below(&self, module: usize, ancestor: usize) -> bool {
        module != ancestor && self.ancestors(module).any(|at| at == ancestor)
    }

    /// The two modules with the same parent that two modules are, or are inside of. None if one is inside of the other.
    pub(crate) fn siblings(&self, one: usize, other: usize) -> Option<(usize, usize)> {
        let from_root = |module| {
            let mut path: Vec<_> = self.ancestors(module).collect();
            path.reverse();
            path
        };
        from_root(one).into_iter().zip(from_root(other)).find(|(one, other)| one != other)
    }

    /// A module, its parent and so on up to the root.
    fn ancestors(&self, module: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(module), |at| self.all[*at].parent)
    }

    /// Resolves a path. `certain` says that the path is known to name something, as in `use` or in an expression; it is
    /// not when the path only tries what a glob could import.
    fn resolve(
        &self,
        module: usize,
        path: &[String],
        certain: bool,
        active: &mut Active,
    ) -> Option<BTreeSet<usize>> {
        let (mut at, mut rest) = (module, path);
        match path.first()?.as_str() {
            "crate" => (at, rest) = (0, &path[1..]),
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    (at, rest) = (self.all[at].parent?, &rest[1..]);
                }
            }
            _ => return self.look_up(module, path, false, certain, active),
        }
        self.look_up(at, rest, true, certain, active)
    }

    /// Resolves a path that begins with a name in a module. `qualified` says that the path before it leads to this module,
    /// so that an unknown name can only be one that a macro defines here.
    fn look_up(
        &self,
        module: usize,
        path: &[String],
        qualified: bool,
        certain: bool,
        active: &mut Active,
    ) -> Option<BTreeSet<usize>> {
        let Some((name, rest)) = path.split_first() else { return Some(BTreeSet::new()) };
        let Module { scope, children, .. } = &self.all[module];
        let mut found = None;
        if let Some(child) = children.get(name) {
            if !rest.is_empty() {
                return self.look_up(*child, rest, true, certain, active);
            }
            found = Some(BTreeSet::new());
        }
        if scope.definitions.contains(name)
            || (module == 0 && qualified && self.exported_macro(name).is_some())
        {
            let definer =
                if scope.definitions.contains(name) { Some(module) } else { self.exported_macro(name) };
            found.get_or_insert_default().extend(definer);
        }
        for (index, import) in scope.imports.iter().enumerate() {
            if import.name.as_ref() == Some(name) && !active.contains(&(module, index)) {
                active.push((module, index));
                let path: Vec<String> = import.path.iter().chain(rest).cloned().collect();
                // A foreign item that is re-exported counts as this module's.
                let definers = self.resolve(module, &path, certain, active);
                found.get_or_insert_default().extend(definers.unwrap_or_else(|| BTreeSet::from([module])));
                active.pop();
            }
        }
        if found.is_none() {
            found = self.look_up_in_globs(module, path, active);
        }
        found.or_else(|| (qualified && certain).then(|| BTreeSet::from([module])))
    }

    fn look_up_in_globs(
        &self,
        module: usize,
        path: &[String],
        active: &mut Active,
    ) -> Option<BTreeSet<usize>> {
        let globs =
            self.all[module].scope.imports.iter().enumerate().filter(|(_, import)| import.name.is_none());
        for (index, glob) in globs {
            if !active.contains(&(module, index)) {
                active.push((module, index));
                let path: Vec<String> = glob.path.iter().chain(path).cloned().collect();
                let found = self.resolve(module, &path, false, active);
                active.pop();
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    /// The module that defines a macro which `#[macro_export]` puts into the root.
    fn exported_macro(&self, name: &str) -> Option<usize> {
        let exports =
            |module: &Module| module.scope.macros.iter().any(|own| own.exported && own.name == name);
        self.all.iter().position(exports)
    }

    /// The module that defines a macro which code in this module sees without a path: the module itself, or a child with
    /// `#[macro_use]`.
    fn textual_macro(&self, module: usize, name: &str) -> Option<usize> {
        let Module { scope, children, .. } = &self.all[module];
        if scope.macros.iter().any(|own| own.name == name) {
            return Some(module);
        }
        let mut shared = children.values().filter(|child| self.all[**child].macro_use);
        shared.find_map(|child| self.textual_macro(*child, name))
    }
}
